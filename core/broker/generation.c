/* generation.c: counting, and matching a name to its definition. */
#include "broker/generation.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "base/utf8.h"

void tw_definition_deinit(struct tw_definition *definition) {
    for (size_t i = 0; i < definition->view_count; i++)
        tw_free(definition->views[i]);
    tw_free(definition->views);
    tw_free(definition->name);
    tw_free(definition->key_field);
    *definition = (struct tw_definition){0};
}

struct tw_generation *tw_generation_new(unsigned number) {
    struct tw_generation *generation = TW_NEW(struct tw_generation);
    atomic_init(&generation->refs, 1);
    generation->number = number;
    tw_settings_init(&generation->settings);
    return generation;
}

struct tw_generation *tw_generation_ref(struct tw_generation *generation) {
    atomic_fetch_add_explicit(&generation->refs, 1, memory_order_relaxed);
    return generation;
}

void tw_generation_unref(struct tw_generation **slot) {
    struct tw_generation *generation = *slot;
    *slot = NULL;
    if (!generation) return;
    if (atomic_fetch_sub_explicit(&generation->refs, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < generation->definition_count; i++)
        tw_definition_deinit(&generation->definitions[i]);
    for (size_t i = 0; i < generation->given_count; i++) {
        tw_free(generation->given[i].path);
        tw_free(generation->given[i].value);
    }
    tw_free(generation->given);
    tw_free(generation->definitions);
    tw_free(generation->public_dir);
    tw_settings_deinit(&generation->settings);
    tw_free(generation);
}

void tw_generation_note(struct tw_generation *generation, const char *path, struct tw_str value) {
    generation->given = (struct tw_given *)tw_realloc(
        generation->given, (generation->given_count + 1) * sizeof *generation->given);
    generation->given[generation->given_count++] = (struct tw_given){
        .path = tw_memdup(path, strlen(path)), .value = tw_memdup(value.data, value.length)};
}

/* The literal text that `pattern` begins with. */
static struct tw_str literal(struct tw_str pattern) {
    const char *end = pattern.length ? memchr(pattern.data, '{', pattern.length) : NULL;
    return (struct tw_str){pattern.data, end ? (size_t)(end - pattern.data) : pattern.length};
}

/* Matches `name` against `pattern` from left to right. A capture ends at the first place where the
 * literal text behind it stands, and does not try a later one. */
static bool match_pattern(struct tw_str pattern, struct tw_str name, struct tw_param *params,
                          size_t *count) {
    size_t n = 0;
    while (pattern.length > 0) {
        struct tw_str text = literal(pattern);
        if (text.length > 0) {
            if (!tw_str_starts(name, text)) return false;
            pattern.data += text.length, pattern.length -= text.length;
            name.data += text.length, name.length -= text.length;
            continue;
        }
        const char *end = memchr(pattern.data, '}', pattern.length);
        struct tw_str key = {pattern.data + 1, (size_t)(end - pattern.data) - 1};
        pattern.length -= key.length + 2;
        pattern.data = end + 1;
        struct tw_str value = {name.data, 0};
        text = literal(pattern);
        while (name.length > 0 && name.data[0] != ':' &&
               !(value.length > 0 && text.length > 0 && tw_str_starts(name, text)))
            value.length++, name.data++, name.length--;
        if (value.length == 0) return false;
        params[n++] = (struct tw_param){key, value};
    }
    if (count) *count = n;
    return name.length == 0;
}

const struct tw_definition *tw_generation_match(const struct tw_generation *generation,
                                                struct tw_str name) {
    struct tw_param params[TW_MAX_PARAMS];
    const struct tw_definition *match = NULL;
    for (size_t i = 0; i < generation->definition_count; i++) {
        const struct tw_definition *definition = &generation->definitions[i];
        struct tw_str text = tw_str_of(definition->name);
        if (!definition->is_pattern) {
            if (tw_str_eq(text, name)) return definition;
        } else if (!match && match_pattern(text, name, params, NULL)) {
            match = definition;
        }
    }
    return match;
}

size_t tw_definition_params(const struct tw_definition *definition, struct tw_str name,
                            struct tw_param params[TW_MAX_PARAMS]) {
    size_t count = 0;
    if (definition->is_pattern) match_pattern(tw_str_of(definition->name), name, params, &count);
    return count;
}

/* What would have to be escaped in a path, in JSON, or in a line of the log. */
#define UNFIT "/?#%\"\\"

const char tw_channel_name_rule[] = "a channel's name is 1 to 200 bytes of UTF-8 without spaces, "
                                    "control characters and any of / ? # % \" \\";

bool tw_channel_name_is_valid(struct tw_str name) {
    if (name.length == 0 || name.length > 200) return false;
    for (size_t i = 0; i < name.length; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (c <= 0x20 || c == 0x7f || memchr(UNFIT, c, sizeof UNFIT - 1)) return false;
    }
    return tw_utf8_is_valid(name.data, name.length);
}

int tw_pattern_check(struct tw_str pattern, bool *is_pattern, const char **why) {
    size_t captures = 0;
    bool after_capture = false;
    *is_pattern = false;
    *why = tw_channel_name_rule;
    if (!tw_channel_name_is_valid(pattern)) return TW_EPARSE;
    for (size_t i = 0; i < pattern.length; i++) {
        if (pattern.data[i] == '}') {
            *why = "a '}' without its '{'";
            return TW_EPARSE;
        }
        if (pattern.data[i] != '{') {
            after_capture = false;
            continue;
        }
        size_t end = i + 1;
        while (end < pattern.length && pattern.data[end] != '}' && pattern.data[end] != '{')
            end++;
        *why = "a capture is a name in braces, as in room:{id}";
        if (end == pattern.length || pattern.data[end] != '}' || end == i + 1) return TW_EPARSE;
        *why = "two captures need text between them";
        if (after_capture) return TW_EPARSE;
        *why = "too many captures";
        if (++captures > TW_MAX_PARAMS) return TW_EPARSE;
        after_capture = *is_pattern = true;
        i = end;
    }
    return 0;
}
