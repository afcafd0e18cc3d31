/* fuzz.h: what the fuzzers share: choices from the input, cuts, assertions, silence.
 *
 * An input is a row of bytes that a fuzzer reads front to back as choices; where they end, every
 * further one is 0. So each input means something, and a shorter one means less. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"

/* The entry of every fuzzer; called by libFuzzer or by replay.c. Always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* --- assertions --- */

#define FUZZ_ASSERT(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))

static char fuzz_last_error[512]; /* logged */

static _Noreturn void fuzz_fail(const char *condition, const char *file, int line) {
    fprintf(stderr, "fuzz: %s:%d: not so: %s\nlast error: %s\n", file, line, condition,
            fuzz_last_error);
    abort();
}

/* Log lines are made, so that making them is tried, and forgotten. */
static void fuzz_keep_error(void *data, enum tw_log_level level, const char *line, size_t length) {
    (void)data;
    if (level != TW_LOG_ERROR) return;
    size_t kept = length < sizeof fuzz_last_error ? length : sizeof fuzz_last_error - 1;
    memcpy(fuzz_last_error, line, kept);
    fuzz_last_error[kept] = 0;
}

static inline void fuzz_begin(void) {
    fuzz_last_error[0] = 0;
    tw_log_set_level(TW_LOG_DEBUG);
    tw_log_set_sink(fuzz_keep_error, NULL);
}

/* No TW_CHECK may fail, whatever the input. */
static inline int fuzz_end(void) {
    FUZZ_ASSERT(tw_check_count() == 0);
    tw_log_set_sink(NULL, NULL);
    return 0;
}

/* --- choices --- */

struct fuzz_input {
    const uint8_t *at, *end;
};

static inline bool fuzz_is_over(const struct fuzz_input *input) {
    return input->at == input->end;
}

static inline uint8_t fuzz_byte(struct fuzz_input *input) {
    return fuzz_is_over(input) ? 0 : *input->at++;
}

static inline unsigned fuzz_below(struct fuzz_input *input, unsigned bound) {
    return fuzz_byte(input) % bound;
}

/* The next bytes, as many as there are up to `most`. Borrows. */
static inline struct tw_str fuzz_bytes(struct fuzz_input *input, size_t most) {
    size_t left = (size_t)(input->end - input->at), length = most < left ? most : left;
    const char *at = (const char *)input->at;
    input->at += length;
    return (struct tw_str){at, length};
}

/* --- files --- */

enum { FUZZ_FOLDER = 40 };

/* A new folder, in memory if there is such a place. The caller removes it. */
static inline void fuzz_make_folder(char out[FUZZ_FOLDER]) {
    snprintf(out, FUZZ_FOLDER, "/dev/shm/tidewire-fuzz-XXXXXX");
    if (mkdtemp(out)) return;
    snprintf(out, FUZZ_FOLDER, "/tmp/tidewire-fuzz-XXXXXX");
    FUZZ_ASSERT(mkdtemp(out));
}

/* --- cuts --- */

/* How a stream of bytes is cut into pieces: by turns as long as these say, 0: all that is left. */
struct fuzz_cuts {
    uint8_t lengths[4];
    size_t at;
};

static const struct fuzz_cuts fuzz_whole = {{0}, 0}, fuzz_single_bytes = {{1, 1, 1, 1}, 0};

static inline struct fuzz_cuts fuzz_cuts_from(struct fuzz_input *input) {
    struct fuzz_cuts cuts = {{0}, 0};
    for (size_t i = 0; i < sizeof cuts.lengths; i++)
        cuts.lengths[i] = fuzz_byte(input);
    return cuts;
}

/* The next piece of `rest`, taken off it: memory of its own that ends where the piece ends, so that
 * a read beyond it, or a pointer kept into it, is seen. Freed by tw_free. */
static inline char *fuzz_cut(struct fuzz_cuts *cuts, struct tw_str *rest, size_t *length) {
    uint8_t wanted = cuts->lengths[cuts->at++ % sizeof cuts->lengths];
    *length = wanted == 0 || wanted > rest->length ? rest->length : wanted;
    char *piece = (char *)tw_alloc(*length);
    if (*length > 0) memcpy(piece, rest->data, *length);
    rest->data += *length;
    rest->length -= *length;
    return piece;
}

#endif
