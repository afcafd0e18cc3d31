/* carry.c: a channel's state moves from the VM of one generation to that of the next, as plain
 * data, through `migrate` if the new definition has one. What cannot be carried is reported, and
 * the channel begins anew. */
#include <lauxlib.h>

#include "base/log.h"
#include "base/status.h"
#include "script/hooks.h"
#include "script/lua_channel.h"
#include "script/plain.h"
#include "script/text.h"

static int write_body(lua_State *L, struct tw_call *call);
static int read_body(lua_State *L, struct tw_call *call);

int tw_script_save(void *vm, struct tw_channel *channel, struct tw_failure *failure) {
    /* Without .channel: its definition is already that of the new generation. */
    struct tw_call write = {.hook = TW_HOOK_STATE,
                            .body = write_body,
                            .data = channel,
                            .failure = failure,
                            .is_quiet = true};
    channel->carried.length = 0;
    if (((const struct tw_vm *)vm)->is_dead) channel->script = NULL; /* the state went with it */
    int status = channel->script ? tw_call_run((struct tw_vm *)vm, &write) : 0;
    channel->script = NULL; /* goes with its VM */
    if (status == 0) return 0;
    tw_buf_deinit(&channel->carried);
    tw_log(TW_LOG_ERROR, "script", "state not carried over channel=%.*s error=%s",
           TW_STR_ARG(channel->name->text), failure->message);
    return status;
}

int tw_script_carry(void *vm, struct tw_channel *channel, struct tw_effects *effects,
                    struct tw_failure *failure) {
    struct tw_call read = {.hook = TW_HOOK_MIGRATE,
                           .body = read_body,
                           .channel = channel,
                           .effects = effects,
                           .failure = failure};
    channel->script = NULL;
    int status = tw_call_run((struct tw_vm *)vm, &read);
    if (status != 0) {
        struct tw_failure of_init;
        tw_script_open(vm, channel, effects, &of_init);
    }
    return status;
}

static int write_body(lua_State *L, struct tw_call *call) {
    struct tw_channel *channel = (struct tw_channel *)call->data;
    tw_lua_channel_push_state(L, channel);
    tw_plain_write(L, -1, "state", &channel->carried);
    return 0;
}

static int read_body(lua_State *L, struct tw_call *call) {
    bool has_migrate = tw_call_push_function(L, call);
    tw_plain_push(L, &call->channel->carried);
    if (has_migrate) {
        lua_pushnumber(L, call->channel->carried_from);
        lua_call(L, 2, 1);
        if (!lua_istable(L, 1)) {
            char got[80];
            tw_text_of_value(L, 1, got);
            return luaL_error(L, "%s returned %s; return the new state, a table",
                              tw_call_title(L, call), got);
        }
    }
    tw_lua_channel_set_state(L, call->channel);
    return 0;
}
