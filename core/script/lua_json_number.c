/* lua_json_number.c: numbers as text. printf and strtod do it right, but take a microsecond, and a
 * quote has five numbers; so what has few digits goes a short way, with the same result. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script/lua_json.h"

enum { MOST_DECIMALS = 6 };

static size_t try_short(double number, char out[32]);
static size_t write_digits(uint64_t whole, int decimals, bool is_negative, char out[32]);

size_t tw_lua_json_number(double number, char out[32]) {
    size_t quick = try_short(number, out);
    if (quick > 0) return quick;
    int length = 0;
    for (int digits = 15; digits <= 17; digits++) {
        length = snprintf(out, 32, "%.*g", digits, number);
        if (digits == 17 || strtod(out, NULL) == number) break;
    }
    for (char *p = out; *p; p++) { /* a locale's decimal point */
        if (!strchr("+-0123456789e", *p)) *p = '.';
    }
    return (size_t)length;
}

/* Whole numbers up to 2^53, and numbers that are one of at most 15 digits divided by a small power
 * of ten: both are exact, so the quotient is rounded as a reader rounds the text, and no shorter
 * text reads back the same. 0: neither. */
static size_t try_short(double number, char out[32]) {
    static const double tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    double size = fabs(number);
    if (size <= 9007199254740992.0 && size == floor(size)) {
        return write_digits((uint64_t)size, 0, number < 0, out);
    }
    if (!(size >= 1e-4 && size < 1e15)) return 0; /* %g writes smaller ones with an exponent */
    for (int decimals = 1; decimals <= MOST_DECIMALS; decimals++) {
        double whole = nearbyint(size * tens[decimals]);
        if (whole >= 1e15) return 0;
        if (whole / tens[decimals] == size) {
            return write_digits((uint64_t)whole, decimals, number < 0, out);
        }
    }
    return 0;
}

static size_t write_digits(uint64_t whole, int decimals, bool is_negative, char out[32]) {
    char digits[32];
    size_t at = sizeof digits;
    for (int count = 0; whole > 0 || count <= decimals; count++, whole /= 10) {
        if (decimals > 0 && count == decimals) digits[--at] = '.';
        digits[--at] = (char)('0' + whole % 10);
    }
    if (is_negative) digits[--at] = '-';
    memcpy(out, digits + at, sizeof digits - at);
    return sizeof digits - at;
}
