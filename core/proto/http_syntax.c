/* http_syntax.c: two small state machines, so that no splitting of the input can change what they
 * say. What a line mostly consists of goes in runs, the rest a byte at a time.
 *
 * lines:  START (CR LF)? REQUEST* CR LF  then per line  LINE: NAME+ ':' VALUE* CR LF | CR LF (end)
 * chunks: SIZE+ (';' EXTENSION*)? CR LF DATA* CR LF ... 0 CR LF  trailers, which are lines */
#include "proto/http_syntax.h"

#include "base/status.h"
#include "base/str.h"

/* Some chunk extensions are in use for signatures; nobody needs them long. A bound per chunk is
 * enough, since each chunk but the last brings a byte of the bounded body. */
enum { MAX_SIZE_LINE = 256, MAX_SIZE_DIGITS = 16 };

enum { START, START_LF, SECOND, REQUEST, REQUEST_LF, LINE, NAME, VALUE, VALUE_LF, END_LF };
enum { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILERS };

/* Bits of a character: of a token (RFC 9110 5.6.2); visible ASCII or a space; that, a tab, or
 * obs-text, as values have them. */
enum { TOKEN = 1, PLAIN = 2, VALUE_CHAR = 4 };
enum { N = 0, O = VALUE_CHAR, P = PLAIN | VALUE_CHAR, T = TOKEN | PLAIN | VALUE_CHAR };

static const uint8_t classes[256] = {
    N, N, N, N, N, N, N, N, N, O, N, N, N, N, N, N, /* 00: tab */
    N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, /* 10 */
    P, T, P, T, T, T, T, T, P, P, T, T, P, T, T, P, /* 20: !#$%&'*+-. */
    T, T, T, T, T, T, T, T, T, T, P, P, P, P, P, P, /* 30: digits */
    P, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, /* 40: letters */
    T, T, T, T, T, T, T, T, T, T, T, P, P, P, T, T, /* 50: letters ^_ */
    T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, /* 60: ` letters */
    T, T, T, T, T, T, T, T, T, T, T, P, T, P, T, N, /* 70: letters |~ */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* 80 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* 90 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* a0 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* b0 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* c0 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* d0 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* e0 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* f0 */
};
/* What keeps the state as it is. */
static const uint8_t runs[] = {
    [REQUEST] = PLAIN, [NAME] = TOKEN, [VALUE] = VALUE_CHAR, [END_LF] = 0};

static enum tw_http_line step(struct tw_http_lines *lines, unsigned char byte, const char **why);
static enum tw_http_line bad(const char **why, const char *text);
static enum tw_http_line take_lf(struct tw_http_lines *lines, unsigned char byte, uint8_t next,
                                 enum tw_http_line event, const char **why);
static enum tw_http_line in_request(struct tw_http_lines *lines, unsigned char byte,
                                    const char **why);
static int refuse(const char **why, int status, const char *text);
static int take_data(struct tw_http_chunks *chunks, const char *bytes, size_t length, size_t *used,
                     struct tw_buf *body);
static int take_framing(struct tw_http_chunks *chunks, const char *at, size_t room,
                        const char **why);
static int take_size(struct tw_http_chunks *chunks, unsigned char byte, size_t room,
                     const char **why);
static int take_trailer(struct tw_http_chunks *chunks, const char *byte, const char **why);

void tw_http_lines_init_trailers(struct tw_http_lines *lines) {
    lines->state = LINE;
}

enum tw_http_line tw_http_lines_feed(struct tw_http_lines *lines, const char *bytes, size_t length,
                                     size_t *used, const char **why) {
    enum tw_http_line line = TW_HTTP_LINE_MORE;
    size_t at = 0;
    while (at < length && line == TW_HTTP_LINE_MORE) {
        uint8_t run = runs[lines->state];
        while (at < length && classes[(unsigned char)bytes[at]] & run)
            at++;
        if (at < length) line = step(lines, (unsigned char)bytes[at++], why);
    }
    *used = at;
    return line;
}

void tw_http_chunks_init(struct tw_http_chunks *chunks, size_t max_body, size_t max_trailers) {
    *chunks = (struct tw_http_chunks){.max_body = max_body, .max_trailers = max_trailers};
}

int tw_http_chunks_feed(struct tw_http_chunks *chunks, const char *bytes, size_t length,
                        size_t *used, struct tw_buf *body, const char **why) {
    *used = 0;
    while (*used < length) {
        int status;
        if (chunks->state == DATA) {
            status = take_data(chunks, bytes, length, used, body);
        } else {
            size_t room = chunks->max_body - body->length;
            status = take_framing(chunks, &bytes[(*used)++], room, why);
        }
        if (status != TW_EAGAIN) return status;
    }
    return TW_EAGAIN;
}

bool tw_http_is_token_char(unsigned char c) {
    return classes[c] & TOKEN;
}

/* A byte that no run takes. */
static enum tw_http_line step(struct tw_http_lines *lines, unsigned char byte, const char **why) {
    switch (lines->state) {
    case START: /* RFC 9112 2.2: one empty line before the request line is forgiven */
        if (byte != '\r') return in_request(lines, byte, why);
        lines->state = START_LF;
        return TW_HTTP_LINE_SKIP;
    case START_LF:
        return take_lf(lines, byte, SECOND, TW_HTTP_LINE_SKIP, why);
    case SECOND:
        if (byte == '\r') return bad(why, "no request line");
        return in_request(lines, byte, why);
    case REQUEST:
        return in_request(lines, byte, why);
    case REQUEST_LF:
        return take_lf(lines, byte, LINE, TW_HTTP_LINE_REQUEST, why);
    case LINE:
        if (byte == '\r') {
            lines->state = END_LF;
            return TW_HTTP_LINE_MORE;
        }
        if (byte == ' ' || byte == '\t') return bad(why, "folded header line");
        if (!tw_http_is_token_char(byte)) return bad(why, "bad header name");
        lines->state = NAME;
        return TW_HTTP_LINE_MORE;
    case NAME:
        if (byte != ':') return bad(why, "bad header name");
        lines->state = VALUE;
        return TW_HTTP_LINE_MORE;
    case VALUE:
        if (byte != '\r') return bad(why, "bad character in a header");
        lines->state = VALUE_LF;
        return TW_HTTP_LINE_MORE;
    case VALUE_LF:
        return take_lf(lines, byte, LINE, TW_HTTP_LINE_HEADER, why);
    default: /* END_LF */
        return take_lf(lines, byte, END_LF, TW_HTTP_LINE_END, why);
    }
}

static enum tw_http_line bad(const char **why, const char *text) {
    *why = text;
    return TW_HTTP_LINE_BAD;
}

static enum tw_http_line take_lf(struct tw_http_lines *lines, unsigned char byte, uint8_t next,
                                 enum tw_http_line event, const char **why) {
    if (byte != '\n') return bad(why, "CR without LF");
    lines->state = next;
    return event;
}

/* Spaces only cut the line; http.c counts them. */
static enum tw_http_line in_request(struct tw_http_lines *lines, unsigned char byte,
                                    const char **why) {
    lines->state = byte == '\r' ? REQUEST_LF : REQUEST;
    if (byte != '\r' && !(classes[byte] & PLAIN)) {
        return bad(why, "bad character in the request line");
    }
    return TW_HTTP_LINE_MORE;
}

static int refuse(const char **why, int status, const char *text) {
    *why = text;
    return status;
}

static int take_data(struct tw_http_chunks *chunks, const char *bytes, size_t length, size_t *used,
                     struct tw_buf *body) {
    size_t count = length - *used;
    if (count > chunks->left) count = (size_t)chunks->left;
    int status = tw_buf_try_append(body, bytes + *used, count);
    if (status != 0) return status;
    *used += count;
    chunks->left -= count;
    if (chunks->left == 0) chunks->state = DATA_CR;
    return TW_EAGAIN;
}

static int take_framing(struct tw_http_chunks *chunks, const char *at, size_t room,
                        const char **why) {
    unsigned char byte = (unsigned char)*at;
    switch (chunks->state) {
    case SIZE:
    case EXTENSION:
        return take_size(chunks, byte, room, why);
    case SIZE_LF:
        if (byte != '\n') return refuse(why, 400, "CR without LF");
        chunks->line_length = 0;
        chunks->state = chunks->left > 0 ? DATA : TRAILERS;
        tw_http_lines_init_trailers(&chunks->trailers);
        return TW_EAGAIN;
    case DATA_CR:
        if (byte != '\r') return refuse(why, 400, "a chunk does not end where it said");
        chunks->state = DATA_LF;
        return TW_EAGAIN;
    case DATA_LF:
        if (byte != '\n') return refuse(why, 400, "a chunk does not end where it said");
        chunks->state = SIZE;
        return TW_EAGAIN;
    default: /* TRAILERS */
        return take_trailer(chunks, at, why);
    }
}

/* No white space between size and ';' or CRLF: the RFC knows only "bad" white space there, and
 * parsers that took it were fooled with it. */
static int take_size(struct tw_http_chunks *chunks, unsigned char byte, size_t room,
                     const char **why) {
    bool has_digits = chunks->line_length > 0;
    if (++chunks->line_length > MAX_SIZE_LINE) return refuse(why, 400, "chunk extension too long");
    if (byte == '\r' && has_digits) {
        chunks->state = SIZE_LF;
    } else if (chunks->state == EXTENSION) {
        if (!(classes[byte] & VALUE_CHAR)) return refuse(why, 400, "bad chunk extension");
    } else if (byte == ';' && has_digits) {
        chunks->state = EXTENSION;
    } else {
        unsigned digit = tw_hex_value((char)byte);
        if (digit > 15 || chunks->line_length > MAX_SIZE_DIGITS) {
            return refuse(why, 400, "bad chunk size");
        }
        chunks->left = chunks->left << 4 | digit;
        if (chunks->left > room) return refuse(why, 413, "body too big");
    }
    return TW_EAGAIN;
}

static int take_trailer(struct tw_http_chunks *chunks, const char *byte, const char **why) {
    size_t used;
    if (++chunks->line_length > chunks->max_trailers) return refuse(why, 431, "trailers too big");
    enum tw_http_line event = tw_http_lines_feed(&chunks->trailers, byte, 1, &used, why);
    if (event == TW_HTTP_LINE_BAD) return 400;
    return event == TW_HTTP_LINE_END ? 0 : TW_EAGAIN;
}
