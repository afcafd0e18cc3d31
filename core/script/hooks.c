/* hooks.c: tw_script_hooks, what the hub asks of the scripts (broker/hooks.h).
 *
 * Each hook is a body, which call.c runs: it pushes the arguments, calls the function of the
 * definition, and makes a status of what it returned. A value that makes no sense is an error:
 * from authorize it refuses, from transform it drops the message. auth is in auth.c, carry in
 * carry.c. */
#include "script/hooks.h"

#include <lauxlib.h>
#include <string.h>

#include "base/status.h"
#include "script/lua_channel.h"
#include "script/lua_client.h"
#include "script/lua_json.h"
#include "script/lua_message.h"
#include "script/revive.h"
#include "script/text.h"

/* What a body works on, beside its call. */
struct arguments {
    struct tw_identity *client;
    struct tw_message **message;
    struct tw_buf *key; /* or the class */
    struct tw_message **out;
    enum tw_action action;
};

static const char *const actions[] = {"subscribe", "publish", "history", "presence"};

/* What the definition says, not what the VM has: one that could not be built anew has nothing, and
 * must refuse. */
static bool has_hook(const struct tw_channel *channel, enum tw_hook hook) {
    const struct tw_definition *definition = channel->definition;
    switch (hook) {
    case TW_HOOK_INIT:
        return definition->has_init;
    case TW_HOOK_AUTHORIZE:
        return definition->has_authorize;
    case TW_HOOK_TRANSFORM:
        return definition->has_transform;
    case TW_HOOK_KEY:
        return definition->has_key && !definition->key_field;
    case TW_HOOK_ON_SUBSCRIBE:
        return definition->has_on_subscribe;
    case TW_HOOK_ON_UNSUBSCRIBE:
        return definition->has_on_unsubscribe;
    case TW_HOOK_TICK:
        return definition->tick_ms > 0;
    default:
        return true;
    }
}

static int wrong_result(lua_State *L, const struct tw_call *call, int index, const char *wanted) {
    char got[80];
    tw_text_of_value(L, index, got);
    return luaL_error(L, "%s returned %s; return %s", tw_call_title(L, call), got, wanted);
}

/* --- a channel's state: open, close --- */

static int drop_state_body(lua_State *L, struct tw_call *call) {
    tw_lua_channel_drop_state(L, call->channel);
    return 0;
}

static int init_body(lua_State *L, struct tw_call *call) {
    tw_call_push_function(L, call);
    tw_lua_channel_push(L, call->channel);
    lua_call(L, 1, 0);
    return 0;
}

static void drop_state(struct tw_vm *vm, struct tw_channel *channel) {
    struct tw_failure failure;
    struct tw_call call = {
        .hook = TW_HOOK_STATE, .body = drop_state_body, .channel = channel, .failure = &failure};
    tw_call_run(vm, &call);
    channel->script = NULL;
}

int tw_script_open(void *data, struct tw_channel *channel, struct tw_effects *effects,
                   struct tw_failure *failure) {
    struct tw_vm *vm = (struct tw_vm *)data;
    unsigned incarnation = vm->incarnation;
    tw_lua_channel_begin_state(channel);
    if (vm->definitions[channel->definition->index].is_init_deadly) return 0;
    if (channel->lacks_init || !has_hook(channel, TW_HOOK_INIT)) return 0;
    struct tw_call call = {.hook = TW_HOOK_INIT,
                           .body = init_body,
                           .channel = channel,
                           .effects = effects,
                           .failure = failure};
    int status = tw_call_run(vm, &call);
    if (status == 0) return 0;
    if (vm->incarnation == incarnation) drop_state(vm, channel); /* what init had done so far */
    tw_lua_channel_begin_state(channel);
    return status;
}

static void script_close(void *data, struct tw_channel *channel) {
    tw_timers_drop_channel((struct tw_vm *)data, channel);
    drop_state((struct tw_vm *)data, channel);
}

/* --- authorize --- */

static int authorize_body(lua_State *L, struct tw_call *call) {
    const struct arguments *arguments = (const struct arguments *)call->data;
    tw_call_push_function(L, call);
    tw_lua_client_push(L, arguments->client);
    lua_pushstring(L, actions[arguments->action]);
    tw_lua_channel_push(L, call->channel);
    lua_call(L, 3, 2);
    if (lua_isnil(L, 1) || (lua_isboolean(L, 1) && !lua_toboolean(L, 1))) {
        bool has_reason = lua_type(L, 2) == LUA_TSTRING;
        tw_text_copy(call->failure->message, sizeof call->failure->message,
                     has_reason ? tw_text_at(L, 2) : TW_STR("refused"));
        return TW_EREFUSED;
    }
    if (!lua_isboolean(L, 1)) {
        return wrong_result(L, call, 1, "true, or false and a reason");
    }
    return 0;
}

static int script_authorize(void *data, struct tw_channel *channel, struct tw_identity *client,
                            enum tw_action action, struct tw_failure *failure) {
    struct tw_vm *vm = (struct tw_vm *)data;
    if (!has_hook(channel, TW_HOOK_AUTHORIZE)) return 0;
    struct arguments arguments = {.client = client, .action = action};
    struct tw_call call = {.hook = TW_HOOK_AUTHORIZE,
                           .body = authorize_body,
                           .data = &arguments,
                           .channel = channel,
                           .failure = failure};
    int status = tw_call_run(vm, &call);
    if (status == TW_EREFUSED) {
        tw_text_copy(failure->hook, sizeof failure->hook, TW_STR("authorize"));
    }
    return status;
}

/* --- transform and key --- */

static int transform_body(lua_State *L, struct tw_call *call) {
    static const char wanted[] = "the message, or nil to drop it";
    struct arguments *arguments = (struct arguments *)call->data;
    tw_lua_message_push(L, *arguments->message, call->channel); /* stays at index 1 */
    tw_call_push_function(L, call);
    lua_pushvalue(L, 1);
    if (tw_vm_of(L)->definitions[call->channel->definition->index].is_of_message) {
        lua_call(L, 1, LUA_MULTRET);
    } else {
        tw_lua_channel_push(L, call->channel);
        tw_lua_client_push(L, arguments->client);
        lua_call(L, 3, LUA_MULTRET);
    }
    if (lua_gettop(L) == 1) {
        return luaL_error(L, "%s returned nothing; return %s", tw_call_title(L, call), wanted);
    }
    if (lua_isnil(L, 2)) return TW_EDROPPED;
    if (!lua_rawequal(L, 1, 2)) return wrong_result(L, call, 2, wanted);
    struct tw_message *result;
    if (tw_lua_message_result(L, 1, &result) != 0) return luaL_error(L, "not enough memory");
    if (result != *arguments->message) {
        tw_message_unref(arguments->message);
        *arguments->message = result;
    }
    return 0;
}

static int script_transform(void *data, struct tw_channel *channel, struct tw_identity *client,
                            struct tw_message **message, struct tw_effects *effects,
                            struct tw_failure *failure) {
    struct tw_vm *vm = (struct tw_vm *)data;
    if (!has_hook(channel, TW_HOOK_TRANSFORM)) return 0;
    struct arguments arguments = {.client = client, .message = message};
    struct tw_call call = {.hook = TW_HOOK_TRANSFORM,
                           .body = transform_body,
                           .data = &arguments,
                           .channel = channel,
                           .effects = effects,
                           .failure = failure};
    return tw_call_run(vm, &call);
}

static int key_body(lua_State *L, struct tw_call *call) {
    struct arguments *arguments = (struct arguments *)call->data;
    struct tw_str key = {NULL, 0};
    char number[32];
    tw_call_push_function(L, call);
    tw_lua_message_push(L, *arguments->message, call->channel);
    lua_call(L, 1, 1);
    switch (lua_type(L, 1)) {
    case LUA_TNIL:
        return 0;
    case LUA_TSTRING:
        key = tw_text_at(L, 1);
        break;
    case LUA_TNUMBER:
        key = (struct tw_str){number, tw_lua_json_number(lua_tonumber(L, 1), number)};
        break;
    default:
        return wrong_result(L, call, 1, "a text or a number, or nil for none");
    }
    if (tw_buf_try_append(arguments->key, key.data, key.length) != 0) {
        return luaL_error(L, "not enough memory");
    }
    return 0;
}

static int script_key(void *data, struct tw_channel *channel, struct tw_message *message,
                      struct tw_buf *key, struct tw_failure *failure) {
    struct tw_vm *vm = (struct tw_vm *)data;
    key->length = 0;
    if (!has_hook(channel, TW_HOOK_KEY)) return 0;
    struct arguments arguments = {.message = &message, .key = key};
    struct tw_call call = {.hook = TW_HOOK_KEY,
                           .body = key_body,
                           .data = &arguments,
                           .channel = channel,
                           .failure = failure};
    return tw_call_run(vm, &call);
}

/* --- audience and views --- */

static int audience_body(lua_State *L, struct tw_call *call) {
    static const char wanted[] = "the name of a class, or nil for none";
    const struct arguments *arguments = (const struct arguments *)call->data;
    tw_call_push_function(L, call);
    tw_lua_client_push(L, arguments->client);
    tw_lua_channel_push(L, call->channel);
    lua_call(L, 2, LUA_MULTRET);
    /* To have forgotten the return would show all of it to everybody. */
    if (lua_gettop(L) == 0)
        return luaL_error(L, "%s returned nothing; return %s", tw_call_title(L, call), wanted);
    if (lua_isnil(L, 1)) return 0;
    struct tw_str name = {NULL, 0};
    if (lua_type(L, 1) == LUA_TSTRING) name = tw_text_at(L, 1);
    if (name.length == 0 || name.length > TW_MAX_CLASS_NAME || memchr(name.data, 0, name.length))
        return wrong_result(L, call, 1, wanted);
    if (tw_buf_try_append(arguments->key, name.data, name.length) != 0)
        return luaL_error(L, "not enough memory");
    return 0;
}

static int script_audience(void *data, struct tw_channel *channel, struct tw_identity *client,
                           struct tw_buf *class, struct tw_failure *failure) {
    struct tw_vm *vm = (struct tw_vm *)data;
    class->length = 0;
    struct arguments arguments = {.client = client, .key = class};
    struct tw_call call = {.hook = TW_HOOK_AUDIENCE,
                           .body = audience_body,
                           .data = &arguments,
                           .channel = channel,
                           .failure = failure};
    return tw_call_run(vm, &call);
}

/* A message object of its own each time, so no view sees what another did. */
static int view_body(lua_State *L, struct tw_call *call) {
    static const char wanted[] = "the message, or nil to withhold it";
    struct arguments *arguments = (struct arguments *)call->data;
    tw_lua_message_push(L, *arguments->message, call->channel); /* stays at index 1 */
    tw_call_push_function(L, call);
    lua_pushvalue(L, 1);
    lua_call(L, 1, LUA_MULTRET);
    if (lua_gettop(L) == 1)
        return luaL_error(L, "%s returned nothing; return %s", tw_call_title(L, call), wanted);
    if (lua_isnil(L, 2)) return TW_EDROPPED;
    if (!lua_rawequal(L, 1, 2)) return wrong_result(L, call, 2, wanted);
    struct tw_message *result;
    if (tw_lua_message_result(L, 1, &result) != 0) return luaL_error(L, "not enough memory");
    *arguments->out = result == *arguments->message ? tw_message_ref(result) : result;
    return 0;
}

static int script_view(void *data, struct tw_channel *channel, size_t view,
                       struct tw_message *message, struct tw_message **out,
                       struct tw_failure *failure) {
    struct arguments arguments = {.message = &message, .out = out};
    struct tw_call call = {.hook = TW_HOOK_VIEWS,
                           .body = view_body,
                           .data = &arguments,
                           .view = view,
                           .channel = channel,
                           .failure = failure};
    *out = NULL;
    int status = tw_call_run((struct tw_vm *)data, &call);
    if (status != 0) tw_message_unref(out); /* the guard may have struck behind the body */
    return status;
}

/* --- what only has effects: on_subscribe, on_unsubscribe, tick --- */

static int event_body(lua_State *L, struct tw_call *call) {
    const struct arguments *arguments = (const struct arguments *)call->data;
    tw_call_push_function(L, call);
    if (arguments->client) tw_lua_client_push(L, arguments->client);
    tw_lua_channel_push(L, call->channel);
    lua_call(L, arguments->client ? 2 : 1, 0);
    return 0;
}

static int run_event(struct tw_vm *vm, enum tw_hook hook, struct tw_channel *channel,
                     struct tw_identity *client, struct tw_effects *effects,
                     struct tw_failure *failure) {
    if (!has_hook(channel, hook)) return 0;
    struct arguments arguments = {.client = client};
    struct tw_call call = {.hook = hook,
                           .body = event_body,
                           .data = &arguments,
                           .channel = channel,
                           .effects = effects,
                           .failure = failure};
    return tw_call_run(vm, &call);
}

static int script_on_subscribe(void *vm, struct tw_channel *channel, struct tw_identity *client,
                               struct tw_effects *effects, struct tw_failure *failure) {
    return run_event((struct tw_vm *)vm, TW_HOOK_ON_SUBSCRIBE, channel, client, effects, failure);
}

static int script_on_unsubscribe(void *vm, struct tw_channel *channel, struct tw_identity *client,
                                 struct tw_effects *effects, struct tw_failure *failure) {
    return run_event((struct tw_vm *)vm, TW_HOOK_ON_UNSUBSCRIBE, channel, client, effects, failure);
}

static int script_tick(void *vm, struct tw_channel *channel, struct tw_effects *effects,
                       struct tw_failure *failure) {
    return run_event((struct tw_vm *)vm, TW_HOOK_TICK, channel, NULL, effects, failure);
}

static void script_arm(void *vm, uint64_t timer, uint64_t at_ms) {
    tw_timers_arm((struct tw_vm *)vm, timer, at_ms);
}

static void script_cancel(void *vm, uint64_t timer) {
    tw_timers_cancel((struct tw_vm *)vm, timer);
}

static uint64_t script_next_timer_ms(const void *vm, struct tw_channel **channel) {
    return tw_timers_next_ms((const struct tw_vm *)vm, channel);
}

static int script_run_timer(void *vm, struct tw_effects *effects, struct tw_failure *failure) {
    return tw_timers_run((struct tw_vm *)vm, effects, failure);
}

static unsigned script_incarnation(void *data) {
    struct tw_vm *vm = (struct tw_vm *)data;
    if (vm->is_dead) tw_vm_revive(vm);
    return vm->incarnation;
}

const struct tw_hooks tw_script_hooks = {
    .incarnation = script_incarnation,
    .auth = tw_script_auth,
    .open = tw_script_open,
    .close = script_close,
    .save = tw_script_save,
    .carry = tw_script_carry,
    .authorize = script_authorize,
    .transform = script_transform,
    .key = script_key,
    .on_subscribe = script_on_subscribe,
    .on_unsubscribe = script_on_unsubscribe,
    .tick = script_tick,
    .audience = script_audience,
    .view = script_view,
    .on_expire = tw_script_on_expire,
    .arm = script_arm,
    .cancel = script_cancel,
    .next_timer_ms = script_next_timer_ms,
    .run_timer = script_run_timer,
};
