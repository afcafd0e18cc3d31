/* base64.c */
#include "base/base64.h"

#include "base/status.h"

static int value_of(enum tw_base64 form, unsigned char c);

size_t tw_base64_encode(enum tw_base64 form, struct tw_str bytes, char *out) {
    static const char *const alphabets[] = {
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};
    const char *alphabet = alphabets[form];
    const unsigned char *in = (const unsigned char *)bytes.data;
    size_t at = 0;
    for (size_t i = 0; i < bytes.length; i += 3) {
        size_t left = bytes.length - i;
        unsigned bits = (unsigned)in[i] << 16;
        if (left > 1) bits |= (unsigned)in[i + 1] << 8;
        if (left > 2) bits |= in[i + 2];
        out[at++] = alphabet[bits >> 18];
        out[at++] = alphabet[bits >> 12 & 63];
        if (left > 1) out[at++] = alphabet[bits >> 6 & 63];
        if (left > 2) out[at++] = alphabet[bits & 63];
        for (; form == TW_BASE64 && left < 3; left++)
            out[at++] = '=';
    }
    return at;
}

int64_t tw_base64_decode(enum tw_base64 form, struct tw_str text, char *out) {
    size_t length = text.length, padding = 0, written = 0;
    while (padding < 2 && length > 0 && text.data[length - 1] == '=') {
        length--;
        padding++;
    }
    size_t rest = length % 4, wanted = rest ? 4 - rest : 0;
    if (rest == 1 || (padding != wanted && (padding > 0 || form == TW_BASE64))) return TW_EPARSE;
    unsigned bits = 0;
    int count = 0;
    for (size_t i = 0; i < length; i++) {
        int value = value_of(form, (unsigned char)text.data[i]);
        if (value < 0) return TW_EPARSE;
        bits = bits << 6 | (unsigned)value;
        count += 6;
        if (count < 8) continue;
        count -= 8;
        out[written++] = (char)(bits >> count);
        bits &= (1u << count) - 1;
    }
    return bits ? TW_EPARSE : (int64_t)written;
}

static int value_of(enum tw_base64 form, unsigned char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == (form == TW_BASE64 ? '+' : '-')) return 62;
    if (c == (form == TW_BASE64 ? '/' : '_')) return 63;
    return -1;
}
