/* generation.h: one complete load of an app: its settings and its channel definitions, as the
 * script layer read them. Shared by all threads, immutable, counted atomically. The functions
 * themselves live in one VM per worker (core/script). */
#ifndef TW_BROKER_GENERATION_H
#define TW_BROKER_GENERATION_H

#include <stdatomic.h>

#include "base/str.h"
#include "broker/settings.h"

#define TW_MAX_PARAMS 8
#define TW_MAX_VIEWS 64

enum tw_publish_mode {
    TW_PUBLISH_NEVER,
    TW_PUBLISH_ALWAYS,
    TW_PUBLISH_ASK /* authorize decides */
};

/* What a publish to a quarantined channel meets. */
enum tw_quarantine_mode {
    TW_QUARANTINE_REFUSE,
    TW_QUARANTINE_PASS, /* authorize as always, but neither transform nor key */
    TW_QUARANTINE_NEVER /* the channel is never set aside */
};

/* One file of channels/. A name is literal text with captures: "room:{id}". A capture matches one
 * or more characters up to the next literal text, and never crosses a ':'. */
struct tw_definition {
    char *name;
    bool is_pattern;
    size_t index; /* in the generation, and of the functions in each VM */
    struct tw_queue_settings queue;
    char *key_field; /* conflation key (has_key): a member of the payload; NULL: by function */
    bool has_key, has_authorize, has_transform, has_on_subscribe, has_on_unsubscribe, has_init;
    enum tw_publish_mode publish;
    enum tw_quarantine_mode quarantine;
    uint64_t tick_ms;      /* 0: no tick */
    uint64_t policy_print; /* fingerprint of what authorize and audience depend on */
    bool has_audience;
    char **views; /* the classes that have one, in the order of their bytes; owned */
    size_t view_count;
};

/* A setting that differs from its default. */
struct tw_given {
    char *path;  /* "limits.messages.rate" */
    char *value; /* as JSON */
};

struct tw_generation {
    atomic_uint refs;
    unsigned number; /* 1, 2, 3 ... */
    struct tw_settings settings;
    struct tw_given *given; /* for people to read */
    size_t given_count;
    struct tw_definition *definitions;
    size_t definition_count;
    bool has_auth, has_on_expire;
    uint64_t print;   /* fingerprint of all files that were read; equal: the same app */
    char *public_dir; /* absolute path of the app's public/, or NULL */
};

/* Frees what it owns, and leaves it empty. */
void tw_definition_deinit(struct tw_definition *definition);

/* A new, empty generation with default settings and one ref, owned by the caller. */
struct tw_generation *tw_generation_new(unsigned number);
struct tw_generation *tw_generation_ref(struct tw_generation *generation);
void tw_generation_unref(struct tw_generation **generation);
/* While it is built: notes a setting that differs. Copies. */
void tw_generation_note(struct tw_generation *generation, const char *path, struct tw_str value);

/* The definition for a channel's name: a literal one before a pattern, patterns in their order.
 * NULL if none. Borrows. */
const struct tw_definition *tw_generation_match(const struct tw_generation *generation,
                                                struct tw_str name);

struct tw_param {
    struct tw_str name, value; /* borrow from the definition and from the matched name */
};

/* What the definition's name captures of a channel's, which it matches; returns how many. */
size_t tw_definition_params(const struct tw_definition *definition, struct tw_str name,
                            struct tw_param params[TW_MAX_PARAMS]);
/* Is `name` fit for a channel: 1 to 200 bytes of UTF-8 without spaces, control characters and any
 * of / ? # % " \ ? So it stands in a path, in JSON and in a line of the log as it is. */
bool tw_channel_name_is_valid(struct tw_str name);
extern const char tw_channel_name_rule[]; /* that sentence, for users */
/* Is this a well-formed pattern? 0, or TW_EPARSE and *why a static text. */
int tw_pattern_check(struct tw_str pattern, bool *is_pattern, const char **why);

#endif
