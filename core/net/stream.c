/* stream.c: a socket on uv_poll. All streams of a thread read into one buffer: what is read is used
 * up before the callback returns. */
#include "net/stream.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/status.h"

#define READ_SIZE 65536

static void on_poll(uv_poll_t *poll, int status, int events);

static void want(struct tw_stream *stream, unsigned events) {
    if (stream->is_closing || stream->events == events) return;
    stream->events = (uint8_t)events;
    if (events)
        uv_poll_start(&stream->poll, (int)events, on_poll);
    else
        uv_poll_stop(&stream->poll);
}

static void read_some(struct tw_stream *stream) {
    static _Thread_local char buffer[READ_SIZE];
    ssize_t length = recv(stream->fd, buffer, sizeof buffer, 0);
    if (length > 0) {
        stream->ops->on_read(stream, buffer, (size_t)length);
    } else if (length == 0) {
        want(stream, stream->events & (unsigned)~UV_READABLE);
        stream->ops->on_eof(stream);
    } else if (errno != EAGAIN && errno != EINTR) {
        stream->ops->on_error(stream, -errno);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct tw_stream *stream = TW_CONTAINER(poll, struct tw_stream, poll);
    if (stream->is_closing) return;
    if (status < 0) {
        stream->ops->on_error(stream, status);
        return;
    }
    if (events & UV_WRITABLE) {
        want(stream, stream->events & (unsigned)~UV_WRITABLE);
        stream->ops->on_writable(stream);
    }
    if (!stream->is_closing && events & stream->events & UV_READABLE) read_some(stream);
}

int tw_stream_open(struct tw_stream *stream, uv_loop_t *loop, int fd,
                   const struct tw_stream_ops *ops) {
    int status = uv_poll_init(loop, &stream->poll, fd);
    if (status < 0) {
        close(fd);
        return status;
    }
    stream->ops = ops;
    stream->fd = fd;
    stream->events = 0;
    stream->is_closing = false;
    want(stream, UV_READABLE);
    return 0;
}

int64_t tw_stream_write(struct tw_stream *stream, const struct iovec *spans, int count) {
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)spans,
                             .msg_iovlen = (size_t)count};
    size_t offered = 0;
    if (stream->is_closing) return TW_ECLOSED;
    for (int i = 0; i < count; i++)
        offered += spans[i].iov_len;
    ssize_t written;
    do {
        written = count == 1 ? send(stream->fd, spans->iov_base, spans->iov_len, MSG_NOSIGNAL)
                             : sendmsg(stream->fd, &message, MSG_NOSIGNAL);
    } while (written < 0 && errno == EINTR);
    if (written < 0 && errno != EAGAIN) return -errno;
    if (written < 0 || (size_t)written < offered) want(stream, stream->events | UV_WRITABLE);
    return written < 0 ? TW_EAGAIN : written;
}

void tw_stream_read_now(struct tw_stream *stream) {
    if (!stream->is_closing && stream->events & UV_READABLE) read_some(stream);
}

void tw_stream_set_reading(struct tw_stream *stream, bool on) {
    unsigned others = stream->events & (unsigned)~UV_READABLE;
    want(stream, on ? others | UV_READABLE : others);
}

void tw_stream_shutdown(struct tw_stream *stream) {
    if (!stream->is_closing) shutdown(stream->fd, SHUT_WR);
}

static void on_closed(uv_handle_t *handle) {
    struct tw_stream *stream = TW_CONTAINER(handle, struct tw_stream, poll);
    stream->ops->on_closed(stream);
}

void tw_stream_close(struct tw_stream *stream) {
    if (stream->is_closing) return;
    stream->is_closing = true;
    uv_close((uv_handle_t *)&stream->poll, on_closed);
    close(stream->fd);
}
