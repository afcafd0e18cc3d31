/* stream.c: a socket. All streams of a thread read into one buffer: what is read is used up before
 * the callback returns. */
#include "net/stream.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/status.h"

#define READ_SIZE 65536

static void watch(struct tw_stream *stream) {
    if (stream->watched == stream->wanted) return;
    tw_poller_watch(stream->poller, stream, stream->fd, stream->watched, stream->wanted);
    stream->watched = stream->wanted;
}

/* To want less costs nothing until there is something that is not wanted: mostly it is wanted
 * again before. */
static void want(struct tw_stream *stream, unsigned wanted) {
    if (stream->is_closing) return;
    stream->wanted = (uint8_t)wanted;
    if (stream->wanted & ~stream->watched) watch(stream);
}

static void read_some(struct tw_stream *stream) {
    static _Thread_local char buffer[READ_SIZE];
    const struct tw_stream_ops *ops = stream->poller->ops;
    ssize_t length = recv(stream->fd, buffer, sizeof buffer, 0);
    if (length > 0) {
        stream->poller->bytes += (size_t)length;
        ops->on_read(stream, buffer, (size_t)length);
    } else if (length == 0) {
        want(stream, stream->wanted & (unsigned)~TW_READABLE);
        ops->on_eof(stream);
    } else if (errno != EAGAIN && errno != EINTR) {
        ops->on_error(stream, -errno);
    }
}

void tw_stream_on_ready(struct tw_stream *stream, unsigned ready) {
    if (stream->is_closing) return;
    if (ready & stream->wanted & TW_WRITABLE) {
        want(stream, stream->wanted & (unsigned)~TW_WRITABLE);
        stream->poller->ops->on_writable(stream);
    }
    if (!stream->is_closing && ready & stream->wanted & TW_READABLE) {
        const struct tw_stream_ops *ops = stream->poller->ops;
        if (ops->is_held && ops->is_held(stream)) {
            stream->poller->held++;
        } else {
            read_some(stream);
            ready &= (unsigned)~TW_READABLE; /* no more, as far as is known */
        }
    }
    if (!stream->is_closing && ready & (unsigned)~stream->wanted) watch(stream);
}

int tw_stream_open(struct tw_stream *stream, struct tw_poller *poller, int fd) {
    *stream = (struct tw_stream){.poller = poller, .fd = fd, .wanted = TW_READABLE};
    int status = tw_poller_watch(poller, stream, fd, 0, TW_READABLE);
    stream->watched = TW_READABLE;
    if (status < 0) close(fd);
    return status;
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
    if (written < 0 || (size_t)written < offered) want(stream, stream->wanted | TW_WRITABLE);
    return written < 0 ? TW_EAGAIN : written;
}

void tw_stream_read_now(struct tw_stream *stream) {
    if (!stream->is_closing && stream->wanted & TW_READABLE) read_some(stream);
}

void tw_stream_set_reading(struct tw_stream *stream, bool on) {
    unsigned others = stream->wanted & (unsigned)~TW_READABLE;
    want(stream, on ? others | TW_READABLE : others);
}

void tw_stream_shutdown(struct tw_stream *stream) {
    if (!stream->is_closing) shutdown(stream->fd, SHUT_WR);
}

void tw_stream_close(struct tw_stream *stream) {
    if (stream->is_closing) return;
    stream->is_closing = true;
    close(stream->fd); /* and so out of the epoll set */
    tw_poller_forget(stream->poller, stream);
}
