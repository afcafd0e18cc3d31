/* http_query.c: looking things up in a complete request: headers, query, cookies. */
#include "proto/http.h"

#include <string.h>

#include "base/check.h"
#include "proto/http_syntax.h"

static const struct tw_pair *find(const struct tw_http_request *request, const char *name,
                                  size_t from);
static bool decode(struct tw_str text, struct tw_buf *scratch, struct tw_str *out);

struct tw_str tw_http_header(const struct tw_http_request *request, const char *name) {
    const struct tw_pair *header = find(request, name, 0);
    return header ? header->value : (struct tw_str){NULL, 0};
}

bool tw_http_header_repeats(const struct tw_http_request *request, const char *name) {
    const struct tw_pair *header = find(request, name, 0);
    return header && find(request, name, (size_t)(header - request->headers) + 1);
}

bool tw_http_header_lists(const struct tw_http_request *request, const char *name,
                          const char *token) {
    const struct tw_pair *header = find(request, name, 0);
    while (header) {
        if (tw_str_list_has(header->value, tw_str_of(token))) return true;
        header = find(request, name, (size_t)(header - request->headers) + 1);
    }
    return false;
}

size_t tw_http_parse_query(struct tw_str query, struct tw_pair *pairs, size_t max,
                           struct tw_buf *scratch) {
    /* Decoding never lengthens: with this room the spans stay where they are. */
    if (!TW_CHECK(scratch->length == 0) || tw_buf_try_reserve(scratch, query.length) != 0) return 0;
    size_t count = 0;
    while (query.data && count < max) {
        struct tw_str value = tw_str_cut(&query, '&');
        struct tw_str name = tw_str_cut(&value, '=');
        if (name.length == 0) continue;
        size_t before = scratch->length;
        struct tw_pair *pair = &pairs[count];
        if (decode(name, scratch, &pair->name) && decode(value, scratch, &pair->value)) {
            count++;
        } else {
            scratch->length = before;
        }
    }
    return count;
}

size_t tw_http_parse_cookies(struct tw_str header, struct tw_pair *pairs, size_t max) {
    size_t count = 0;
    while (header.data && count < max) {
        struct tw_str value = tw_str_cut(&header, ';');
        struct tw_str name = tw_str_trim(tw_str_cut(&value, '='));
        if (name.length == 0 || !value.data) continue;
        size_t good = 0;
        while (good < name.length && tw_http_is_token_char((unsigned char)name.data[good]))
            good++;
        if (good < name.length) continue;
        value = tw_str_trim(value);
        if (value.length >= 2 && value.data[0] == '"' && value.data[value.length - 1] == '"') {
            value = (struct tw_str){value.data + 1, value.length - 2};
        }
        pairs[count++] = (struct tw_pair){name, value};
    }
    return count;
}

static const struct tw_pair *find(const struct tw_http_request *request, const char *name,
                                  size_t from) {
    size_t length = strlen(name);
    for (size_t i = from; i < request->header_count; i++) {
        const struct tw_pair *header = &request->headers[i];
        if (header->name.length == length && memcmp(header->name.data, name, length) == 0)
            return header;
    }
    return NULL;
}

static bool decode(struct tw_str text, struct tw_buf *scratch, struct tw_str *out) {
    char *at = scratch->data + scratch->length;
    int64_t length = tw_str_percent_decode(text, true, at);
    if (length < 0) return false;
    scratch->length += (size_t)length;
    *out = (struct tw_str){at, (size_t)length};
    return true;
}
