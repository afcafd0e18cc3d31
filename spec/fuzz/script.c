/* script.c: apps as Lua text, and JSON into Lua and back: tw_app_load with its settings, overrides
 * and definitions; base/json, script/lua_json.
 *
 * Input: a choice; then a single-file app, and behind NUL bytes what -D says; or JSON; or a token.
 *
 * The guard would end a text that runs for ever, after a deadline of the fuzzer's time. So those
 * are left out: no loops, no functions but `@` and `$`, which stand for one, no matching of
 * patterns, no text made into code. (What the guard does: spec/unit/script_guard_test.c,
 * spec/live/guard_spec.lua.)
 */
#include <ctype.h>
#include <math.h>
#include <unistd.h>

#include "base/json.h"
#include "broker/channel.h"
#include "fuzz.h"
#include "script/script.h"

enum { MOST_OVERRIDES = 4 };

struct app {
    struct tw_generation *generation;
    struct tw_vm **vms;
    size_t vm_count;
    struct tw_load_errors errors;
    int status;
};

/* What `@` and `$` stand for. */
static const char identity[] = "function(a) return a end";
static const char keeper[] = "function(m, c) c.state.m = m.data c:publish(m.data) return m end";

/* --- apps from texts --- */

static void app_load(struct app *app, struct tw_str text, const char *const *overrides,
                     size_t count, unsigned workers) {
    char folder[FUZZ_FOLDER];
    fuzz_make_folder(folder);
    char *path = tw_format("%s/app.lua", folder);
    FILE *file = fopen(path, "wb");
    FUZZ_ASSERT(file && fwrite(text.data, 1, text.length, file) == text.length);
    fclose(file);
    struct tw_app how = {.path = path, .overrides = overrides, .override_count = count};
    app->status =
        tw_app_load(&how, 7, workers, &app->generation, &app->vms, &app->vm_count, &app->errors);
    unlink(path);
    rmdir(folder);
    tw_free(path);
}

static void app_unload(struct app *app) {
    for (size_t i = 0; i < app->vm_count; i++)
        tw_vm_free(app->vms[i]);
    tw_free(app->vms);
    tw_generation_unref(&app->generation);
    tw_load_errors_deinit(&app->errors);
}

static bool is_wild(struct tw_str word) {
    struct tw_str wild =
        TW_STR("while for repeat goto function load loadstring find match gmatch gsub");
    while (wild.data)
        if (tw_str_eq(word, tw_str_cut(&wild, ' '))) return true;
    return false;
}

static bool is_letter(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

/* Owned; NULL if it could run for ever. */
static char *tame(struct tw_str text) {
    struct tw_buf out = {0};
    bool is_tame = true;
    for (size_t i = 0, length; i < text.length; i += length) {
        const char *word = text.data + i;
        for (length = 0; i + length < text.length && is_letter(word[length]);)
            length++;
        is_tame = is_tame && !is_wild((struct tw_str){word, length});
        if (length == 0) length = 1;
        if (*word == '@' || *word == '$')
            tw_buf_print(&out, "%s", *word == '@' ? identity : keeper);
        else
            tw_buf_append(&out, word, length);
    }
    tw_buf_append(&out, "", 1);
    if (!is_tame) tw_buf_deinit(&out);
    return out.data;
}

/* --- what was read --- */

static bool is_number(double number, double least) {
    return isfinite(number) && number >= least;
}

static void check_settings(const struct tw_settings *s) {
    const struct tw_limits *l = &s->limits;
    FUZZ_ASSERT(s->workers >= 1 && s->workers <= 256 && s->listen_count >= 1);
    FUZZ_ASSERT(s->heartbeat_timeout_ms > 0 && l->connections > 0 && l->handshake_timeout_ms > 0);
    FUZZ_ASSERT(is_number(l->messages.rate, 0) && is_number(l->messages.burst, 0));
    FUZZ_ASSERT(is_number(l->bytes.rate, 0) && is_number(l->bytes.burst, 0));
    FUZZ_ASSERT(is_number(l->handshakes_per_ip.rate, 0));
    FUZZ_ASSERT(l->messages.rate <= 0 || l->messages.burst >= 1);
    FUZZ_ASSERT(l->message_size > 0 && l->header_size >= 256 && l->violations > 0);
    FUZZ_ASSERT(l->channels_per_client > 0 && s->queue.size > 0 && s->queue_bytes > 0);
    FUZZ_ASSERT(s->script_memory >= 1 << 20 && s->script_deadline_ms > 0);
    for (size_t i = 0; i < s->allowed_origin_count; i++)
        FUZZ_ASSERT(strstr(s->allowed_origins[i], "://"));
}

static void check_definitions(const struct tw_generation *generation) {
    for (size_t i = 0; i < generation->definition_count; i++) {
        const struct tw_definition *d = &generation->definitions[i];
        bool is_pattern;
        const char *why;
        FUZZ_ASSERT(d->index == i && d->queue.size > 0);
        FUZZ_ASSERT(tw_pattern_check(tw_str_of(d->name), &is_pattern, &why) == 0);
        FUZZ_ASSERT(is_pattern == d->is_pattern);
        FUZZ_ASSERT(d->queue.overflow != TW_CONFLATE || d->has_key);
        FUZZ_ASSERT(d->publish != TW_PUBLISH_ASK || d->has_authorize);
        for (size_t j = 0; j < i; j++)
            FUZZ_ASSERT(strcmp(d->name, generation->definitions[j].name) != 0);
    }
}

/* Its hooks, whose functions are all identity: opened in one VM, carried over to another. */
static void run_channel(const struct app *app, const struct tw_definition *definition, void *from,
                        void *to) {
    struct tw_rand rand;
    struct tw_effects effects = {0};
    struct tw_failure failure = {0};
    struct tw_message *message = tw_message_try_new("{\"a\":[1]}", 9, false);
    struct tw_buf key = {0};
    struct tw_name *name = tw_name_new(tw_str_of(definition->name));
    tw_rand_seed(&rand, 1);
    struct tw_channel *channel = tw_channel_new(name, 1, &rand);
    tw_channel_bind(channel, app->generation);
    FUZZ_ASSERT(channel->definition == definition);
    tw_script_hooks.open(from, channel, &effects, &failure);
    int status = tw_script_hooks.transform(from, channel, NULL, &message, &effects, &failure);
    FUZZ_ASSERT(status == 0 || status == TW_ESCRIPT || status == TW_EDROPPED);
    tw_script_hooks.key(from, channel, message, &key, &failure);
    channel->carried_from = 7;
    if (tw_script_hooks.save(from, channel, &failure) == 0 && channel->carried.length > 0)
        tw_script_hooks.carry(to, channel, &effects, &failure);
    else
        tw_script_hooks.open(to, channel, &effects, &failure);
    tw_script_hooks.tick(to, channel, &effects, &failure);
    tw_script_hooks.close(to, channel);
    tw_channel_free(channel);
    tw_name_unref(&name);
    tw_message_unref(&message);
    tw_buf_deinit(&key);
    tw_effects_deinit(&effects);
}

static void run_auth(void *vm) {
    struct tw_pair pair = {TW_STR("a"), TW_STR("b")};
    struct tw_auth_request request = {.path = TW_STR("/"), .query = &pair, .query_count = 1};
    struct tw_auth auth = {0};
    struct tw_failure failure = {0};
    int status = tw_script_hooks.auth(vm, &request, &auth, &failure);
    FUZZ_ASSERT(status == 0 || status == TW_EREFUSED || status == TW_ESCRIPT);
    tw_auth_deinit(&auth);
}

static void check_app(const struct app *app, unsigned workers) {
    FUZZ_ASSERT(app->status == (app->errors.count ? TW_ELOAD : 0));
    for (size_t i = 0; i < app->errors.count; i++) {
        const struct tw_load_error *error = &app->errors.items[i];
        FUZZ_ASSERT(*error->file && *error->message && error->line >= 0);
    }
    FUZZ_ASSERT((app->status == 0) == (app->generation != NULL));
    if (app->status != 0) return;
    FUZZ_ASSERT(app->vm_count == workers);
    run_auth(app->vms[0]);
    check_settings(&app->generation->settings);
    check_definitions(app->generation);
    for (size_t i = 0; i < app->generation->definition_count; i++) {
        const struct tw_definition *definition = &app->generation->definitions[i];
        if (!definition->is_pattern)
            run_channel(app, definition, app->vms[0], app->vms[workers - 1]);
    }
}

static void try_app(struct fuzz_input *input, unsigned workers, bool twice) {
    struct tw_str rest = fuzz_bytes(input, SIZE_MAX);
    /* The last one holds memory down, whatever the text says. */
    const char *overrides[MOST_OVERRIDES + 1] = {0};
    char *owned[MOST_OVERRIDES + 1] = {0};
    size_t count = 0;
    bool is_tame = true;
    for (size_t i = 0; i <= MOST_OVERRIDES && rest.data; i++) {
        owned[i] = tame(tw_str_cut(&rest, 0));
        is_tame = is_tame && owned[i];
        if (i > 0) overrides[count++] = owned[i];
    }
    overrides[count++] = "script.memory=2097152";
    if (is_tame && owned[0]) {
        struct app app = {0}, again = {0};
        app_load(&app, tw_str_of(owned[0]), overrides, count, workers);
        check_app(&app, workers);
        if (twice) app_load(&again, tw_str_of(owned[0]), overrides, count, workers);
        FUZZ_ASSERT(!app.generation || !again.generation ||
                    app.generation->print == again.generation->print);
        app_unload(&app);
        app_unload(&again);
    }
    for (size_t i = 0; i <= MOST_OVERRIDES; i++)
        tw_free(owned[i]);
}

/* --- JSON --- */

static const char json_app[] =
    "return { channels = {"
    "same = { transform = function(m) m.data = m.data return m end },"
    "pick = { transform = function(m) m.data = tidewire.json.array { m.data.a } return m end },"
    /* A text as token, as base64, as PEM; as claims that are signed well, and as such a header. */
    "token = { transform = function(m)"
    "  local jwt, b64, text = tidewire.jwt, tidewire.base64, m.raw"
    "  local options = { secret = 's', audience = 'a', issuer = 'b', leeway = 1 }"
    "  local function verify(token)"
    "    local claims, why = jwt.verify(token, options)"
    "    assert(type(claims) == 'table' or (claims == nil and type(why) == 'string'))"
    "    return why"
    "  end"
    "  local function sign(header, claims)"
    "    local signed = b64.encode_url(header) .. '.' .. b64.encode_url(claims)"
    "    return signed .. '.' .. tidewire.hmac('sha256', 's', signed, 'base64url')"
    "  end"
    "  assert(verify(text) and verify(sign('{\"alg\":\"HS256\"}', text)) ~= 'wrong signature')"
    "  assert(verify(sign(text, '{}')))" /* no aud */
    "  pcall(jwt.verify, 'x', { key = text })"
    "  local bytes = b64.decode(text)"
    "  assert(not bytes or b64.encode(bytes) == text)"
    "  bytes = b64.decode_url(text)"
    "  assert(not bytes or b64.encode_url(bytes) == text:sub(1, #b64.encode_url(bytes)))"
    "  assert(b64.decode(b64.encode(text)) == text)"
    "  m.data = 'done'"
    "  return m "
    "end } } }";
enum { JSON_CHANNELS = 3 };

/* What the channel's transform makes of it, as a text; owned. NULL: it failed. */
static char *transformed(const char *name, struct tw_str text) {
    static struct app app; /* for all inputs: its handlers keep nothing */
    static struct tw_channel *channels[JSON_CHANNELS];
    struct tw_effects effects = {0};
    struct tw_failure failure = {0};
    if (!app.generation) {
        struct tw_rand rand;
        tw_rand_seed(&rand, 1);
        app_load(&app, tw_str_of(json_app), NULL, 0, 1);
        FUZZ_ASSERT(app.status == 0 && app.generation->definition_count == JSON_CHANNELS);
        for (size_t i = 0; i < JSON_CHANNELS; i++) {
            struct tw_name *channel = tw_name_new(tw_str_of(app.generation->definitions[i].name));
            channels[i] = tw_channel_new(channel, 1, &rand);
            tw_channel_bind(channels[i], app.generation);
            tw_name_unref(&channel);
        }
    }
    struct tw_channel *channel = NULL;
    for (size_t i = 0; i < JSON_CHANNELS; i++)
        if (tw_str_eq(channels[i]->name->text, tw_str_of(name))) channel = channels[i];
    bool is_token = strcmp(name, "token") == 0;
    struct tw_message *message = tw_message_try_new(text.data, text.length, is_token);
    int status = tw_script_hooks.transform(app.vms[0], channel, NULL, &message, &effects, &failure);
    char *out = NULL;
    if (status == 0) {
        struct tw_str result = tw_message_text(message);
        FUZZ_ASSERT(tw_json_check(result, NULL) == 0);
        out = tw_memdup(result.data, result.length);
        FUZZ_ASSERT(strlen(out) == result.length);
    }
    tw_message_unref(&message);
    tw_effects_deinit(&effects);
    return out;
}

static void try_token(struct fuzz_input *input) {
    char *done = transformed("token", fuzz_bytes(input, SIZE_MAX));
    FUZZ_ASSERT(done && strcmp(done, "\"done\"") == 0);
    tw_free(done);
}

static void try_json(struct fuzz_input *input) {
    struct tw_str text = fuzz_bytes(input, SIZE_MAX), member = {0};
    size_t at = 0, again_at = 0, space = 0;
    char *exact = (char *)tw_alloc(text.length); /* a read beyond it is seen */
    if (text.length > 0) memcpy(exact, text.data, text.length);
    text.data = exact;
    if (tw_json_check(text, &at) != 0) {
        FUZZ_ASSERT(at <= text.length); /* where it is wrong; all before was right */
        text.length = at;
        FUZZ_ASSERT(tw_json_check(text, &again_at) == 0 || again_at == at);
        tw_free(exact);
        return;
    }
    char *normal = transformed("same", text);
    /* Only a number that is too large cannot come back. */
    FUZZ_ASSERT(normal || text.length > 300 || memchr(exact, 'e', text.length) ||
                memchr(exact, 'E', text.length));
    if (normal) {
        char *again = transformed("same", tw_str_of(normal));
        FUZZ_ASSERT(again && strcmp(normal, again) == 0);
        tw_free(again);
    }
    if (normal && strchr("-0123456789", exact[0])) { /* a number, and no more */
        char *number = tw_memdup(exact, text.length);
        FUZZ_ASSERT(strtod(number, NULL) == strtod(normal, NULL));
        tw_free(number);
    }
    while (strchr(" \t\r\n", exact[space]))
        space++;
    bool has_member = tw_json_member(text, TW_STR("a"), &member);
    FUZZ_ASSERT(!has_member || exact[space] == '{');
    if (normal && exact[space] == '{') {
        char *list =
            tw_format("[%.*s]", has_member ? (int)member.length : 0, has_member ? member.data : "");
        char *wanted = transformed("same", tw_str_of(list)), *got = transformed("pick", text);
        FUZZ_ASSERT(wanted && got && strcmp(wanted, got) == 0);
        tw_free(list);
        tw_free(wanted);
        tw_free(got);
    }
    tw_free(normal);
    tw_free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {data, data + size};
    fuzz_begin();
    uint8_t choice = fuzz_byte(&input);
    if ((choice & 9) == 9)
        try_token(&input);
    else if (choice & 1)
        try_json(&input);
    else
        try_app(&input, choice & 2 ? 2 : 1, choice & 4);
    return fuzz_end();
}
