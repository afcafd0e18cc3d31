/* call.c: into Lua and back; and what is left of an error.
 *
 * On the way of a publish: hub_home.c asks a hook (hooks.c), whose body runs here.
 *
 * The handler of errors (tw_call_trace) runs where the error was raised, while the stack still
 * stands. It fills C memory only, so that it works when Lua's memory is out; it is not called at
 * all for "not enough memory", and fill_rest makes up for that. */
#include "script/call.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "broker/channel.h"
#include "script/guard.h"
#include "script/hook_clock.h"
#include "script/revive.h"
#include "script/text.h"
#include "script/where.h"

enum { FIRST_LEVELS = 12, LAST_LEVELS = 6, LINE_SIZE = 320 };

static unsigned deadline_of(const struct tw_vm *vm, const struct tw_call *call);
static void bury(struct tw_vm *vm, struct tw_call *call);
static void fail(struct tw_vm *vm, struct tw_call *call, int result);
static void fill_rest(struct tw_vm *vm, struct tw_call *call, int result);
static void fill_place(struct tw_vm *vm, const struct tw_call *call);
static void log_failure(const struct tw_vm *vm, const struct tw_call *call);
static void fill_message(lua_State *L, const struct tw_vm *vm, struct tw_failure *failure);
static void fill_message_of_object(lua_State *L, struct tw_failure *failure);
static void fill_frame(lua_State *L, struct tw_failure *failure);
static void write_trace(lua_State *L, struct tw_buf *out);
static void write_level(lua_State *L, int level, struct tw_buf *out);
static int count_levels(lua_State *L);
static tw_ref function_of(const struct tw_vm *vm, const struct tw_call *call);

int tw_call_run(struct tw_vm *vm, struct tw_call *call) {
    TW_REQUIRE(!vm->call && call->failure);
    size_t effects = call->effects ? call->effects->count : 0, used = vm->used;
    tw_failure_clear(call->failure);
    /* Channels have to be opened before their hooks run, which the hub sees to. */
    bool is_of_channel = call->channel || call->hook == TW_HOOK_STATE;
    if (vm->is_dead && (is_of_channel || !tw_vm_revive(vm))) return tw_vm_refuse(vm, call->failure);
    call->is_traced = false;
    call->effect_bytes = 0;
    vm->call = call;
    vm->serial++;
    vm->calls++;
    vm->unit_count = 0;
    vm->rethrown = NULL;
    enum tw_guard_end end;
    bool is_load = call->hook == TW_HOOK_LOAD;
    struct tw_hook_clock clock = tw_hook_clock_start(vm);
    lua_pushvalue(vm->L, TW_SLOT_ENTER);
    int result = tw_guard_call(vm->L, TW_SLOT_TRACE, deadline_of(vm, call), &end);
    int status = result == 0 ? call->status : TW_ESCRIPT;
    tw_hook_clock_stop(&clock, vm, call, status, end);
    if (end == TW_GUARD_KILLED)
        bury(vm, call);
    else if (result != 0)
        fail(vm, call, result);
    vm->call = NULL;
    if (status < 0 && status != TW_EDROPPED && call->effects) {
        tw_timers_drop_effects(vm, call->effects, effects);
        tw_effects_rewind(call->effects, effects);
    }
    if (is_load && end != TW_GUARD_IN_TIME) vm->is_load_late = true;
    if (vm->is_dead) {
        if (!is_load) tw_vm_revive(vm);
        return status;
    }
    if (!TW_CHECK(lua_gettop(vm->L) == TW_SLOTS)) lua_settop(vm->L, TW_SLOTS);
    bool left_much = vm->used > used && vm->used - used > vm->cap / 8;
    tw_vm_tidy(vm, result == LUA_ERRMEM || (result != 0 && left_much));
    return status;
}

static unsigned deadline_of(const struct tw_vm *vm, const struct tw_call *call) {
    bool has_long = call->hook == TW_HOOK_LOAD && !vm->is_load_late;
    return has_long ? vm->deadline_ms * TW_LOAD_DEADLINES : vm->deadline_ms;
}

/* The guard jumped out of the state: nothing of it may be asked any more. */
static void bury(struct tw_vm *vm, struct tw_call *call) {
    struct tw_failure *failure = call->failure;
    vm->is_dead = true;
    vm->failures++;
    tw_timers_forget_all(&vm->timers);
    vm->trace.length = 0;
    if (call->channel) call->channel->script = NULL; /* this call may be followed by others */
    tw_failure_clear(failure);
    tw_text_copy(failure->hook, sizeof failure->hook, tw_str_of(tw_hook_name(call->hook)));
    snprintf(failure->message, sizeof failure->message,
             "killed: it did not stop when its deadline of %u ms had passed",
             deadline_of(vm, call));
    if (call->channel && call->channel->definition->index < vm->definition_count) {
        struct tw_vm_definition *of = &vm->definitions[call->channel->definition->index];
        tw_text_copy(failure->script, sizeof failure->script, tw_str_of(of->file));
        if (call->hook == TW_HOOK_INIT) of->is_init_deadly = true;
    }
    if (!call->is_quiet) log_failure(vm, call);
}

int tw_call_enter(lua_State *L) {
    struct tw_call *call = tw_vm_of(L)->call;
    call->status = call->body(L, call);
    return 0;
}

bool tw_call_push_function(lua_State *L, const struct tw_call *call) {
    tw_ref function = function_of(tw_vm_of(L), call);
    if (function) tw_vm_push(L, function);
    return function != 0;
}

const char *tw_call_title(lua_State *L, const struct tw_call *call) {
    const char *hook = tw_hook_name(call->hook);
    if (!call->channel) return lua_pushfstring(L, "%s", hook);
    if (call->hook == TW_HOOK_VIEWS)
        return lua_pushfstring(L, "%s.%s of %s", hook, call->channel->definition->views[call->view],
                               call->channel->name->text.data);
    return lua_pushfstring(L, "%s of %s", hook, call->channel->name->text.data);
}

int tw_call_trace(lua_State *L) {
    struct tw_vm *vm = tw_vm_of(L);
    struct tw_call *call = vm->call;
    if (!call || (call->is_traced && vm->rethrown && vm->rethrown == lua_topointer(L, 1))) return 1;
    call->is_traced = true;
    call->failure->script[0] = 0;
    call->failure->line = 0;
    vm->trace.length = 0;
    fill_message(L, vm, call->failure);
    if (!call->failure->script[0]) fill_frame(L, call->failure);
    write_trace(L, &vm->trace);
    return 1;
}

static void fail(struct tw_vm *vm, struct tw_call *call, int result) {
    vm->failures++;
    if (!call->is_traced) vm->trace.length = 0;
    fill_rest(vm, call, result);
    lua_settop(vm->L, TW_SLOTS);
    fill_place(vm, call);
    if (!call->is_quiet) log_failure(vm, call);
}

/* What the handler did not say, since it was not called, or broke. */
static void fill_rest(struct tw_vm *vm, struct tw_call *call, int result) {
    struct tw_failure *failure = call->failure;
    tw_text_copy(failure->hook, sizeof failure->hook, tw_str_of(tw_hook_name(call->hook)));
    if (result == LUA_ERRMEM) {
        snprintf(failure->message, sizeof failure->message,
                 "not enough memory (script.memory is %zu bytes)", vm->cap);
    } else if (!failure->message[0]) {
        /* On a string, lua_tolstring only looks. */
        bool is_text = lua_type(vm->L, -1) == LUA_TSTRING;
        tw_text_copy(failure->message, sizeof failure->message,
                     tw_str_of(is_text ? lua_tostring(vm->L, -1) : "error in error handling"));
    }
}

/* No line of Lua was involved: the place of the hook's function is the next best. */
static void fill_place(struct tw_vm *vm, const struct tw_call *call) {
    struct tw_failure *failure = call->failure;
    tw_ref function = function_of(vm, call);
    if (failure->script[0] || !function) return;
    lua_Debug info;
    tw_vm_push(vm->L, function);
    if (lua_getinfo(vm->L, ">S", &info) && info.source[0] == '@') {
        tw_text_copy(failure->script, sizeof failure->script, tw_str_of(info.source + 1));
        failure->line = info.linedefined;
    }
}

static void log_failure(const struct tw_vm *vm, const struct tw_call *call) {
    const struct tw_failure *failure = call->failure;
    char place[160] = "?";
    if (failure->script[0] && failure->line > 0) {
        snprintf(place, sizeof place, "%s:%d", failure->script, failure->line);
    } else if (failure->script[0]) {
        snprintf(place, sizeof place, "%s", failure->script);
    }
    struct tw_str channel = call->channel ? call->channel->name->text : TW_STR("");
    tw_log(TW_LOG_ERROR, "script", "hook failed%s%.*s hook=%s script=%s error=%s%.*s",
           call->channel ? " channel=" : "", TW_STR_ARG(channel), failure->hook, place,
           failure->message, (int)vm->trace.length, vm->trace.length ? vm->trace.data : "");
}

static void fill_message(lua_State *L, const struct tw_vm *vm, struct tw_failure *failure) {
    struct tw_str text = {NULL, 0};
    switch (lua_type(L, 1)) {
    case LUA_TSTRING:
        text.data = lua_tolstring(L, 1, &text.length);
        break;
    case LUA_TNUMBER:
        snprintf(failure->message, sizeof failure->message, "%.14g", lua_tonumber(L, 1));
        return;
    case LUA_TNIL:
        text = TW_STR("error(nil)");
        break;
    default:
        fill_message_of_object(L, failure);
        return;
    }
    const char *file;
    size_t head;
    if (tw_where_split(vm->source, text, &file, &failure->line, &head)) {
        tw_text_copy(failure->script, sizeof failure->script, tw_str_of(file));
        text.data += head;
        text.length -= head;
    }
    tw_text_copy(failure->message, sizeof failure->message, text);
}

/* Its __tostring is the script's, so it may raise itself. */
static void fill_message_of_object(lua_State *L, struct tw_failure *failure) {
    struct tw_str text = {NULL, 0};
    if (luaL_getmetafield(L, 1, "__tostring")) {
        lua_pushvalue(L, 1);
        if (lua_pcall(L, 1, 1, 0) == 0 && lua_type(L, -1) == LUA_TSTRING) {
            text.data = lua_tolstring(L, -1, &text.length);
        }
    }
    if (text.length > 0) {
        tw_text_copy(failure->message, sizeof failure->message, text);
    } else {
        snprintf(failure->message, sizeof failure->message, "error(a %s)", luaL_typename(L, 1));
    }
    lua_settop(L, 1);
}

/* The innermost line of Lua. */
static void fill_frame(lua_State *L, struct tw_failure *failure) {
    lua_Debug info;
    for (int level = 1; level < 100 && lua_getstack(L, level, &info); level++) {
        if (!lua_getinfo(L, "Sl", &info) || info.currentline <= 0) continue;
        if (info.source[0] != '@') continue;
        tw_text_copy(failure->script, sizeof failure->script, tw_str_of(info.source + 1));
        failure->line = info.currentline;
        return;
    }
}

static void write_trace(lua_State *L, struct tw_buf *out) {
    int levels = count_levels(L);
    for (int level = 1; level < levels; level++) {
        if (level == FIRST_LEVELS + 1 && levels - level > LAST_LEVELS) {
            static const char gap[] = "\n\t...";
            (void)tw_buf_try_append(out, gap, sizeof gap - 1);
            level = levels - LAST_LEVELS;
        }
        write_level(L, level, out);
    }
}

static void write_level(lua_State *L, int level, struct tw_buf *out) {
    char line[LINE_SIZE];
    lua_Debug info;
    if (!lua_getstack(L, level, &info) || !lua_getinfo(L, "Sln", &info)) return;
    int length;
    if (*info.what == 'C') {
        if (!info.name) return; /* ours */
        length = snprintf(line, sizeof line, "\n\t[C]: in '%s'", info.name);
    } else if (*info.what == 'm') {
        length =
            snprintf(line, sizeof line, "\n\t%s:%d: in the file", info.short_src, info.currentline);
    } else if (info.name) {
        length = snprintf(line, sizeof line, "\n\t%s:%d: in '%s'", info.short_src, info.currentline,
                          info.name);
    } else {
        length = snprintf(line, sizeof line, "\n\t%s:%d: in the function of line %d",
                          info.short_src, info.currentline, info.linedefined);
    }
    if (length >= (int)sizeof line) length = (int)sizeof line - 1;
    (void)tw_buf_try_append(out, line, (size_t)length);
}

/* lua_getstack walks the stack, so ask it for few of the many levels of an endless recursion. */
static int count_levels(lua_State *L) {
    lua_Debug info;
    int low = 1, high = 1;
    while (lua_getstack(L, high, &info)) {
        low = high;
        high *= 2;
    }
    while (low < high) {
        int middle = (low + high) / 2;
        if (lua_getstack(L, middle, &info)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return high;
}

static tw_ref function_of(const struct tw_vm *vm, const struct tw_call *call) {
    if (call->hook == TW_HOOK_AUTH) return vm->auth;
    if (call->hook == TW_HOOK_ON_EXPIRE) return vm->on_expire;
    if (!call->channel || !call->channel->definition) return 0;
    size_t index = call->channel->definition->index;
    if (!TW_CHECK(index < vm->definition_count)) return 0;
    if (call->hook == TW_HOOK_VIEWS) return vm->definitions[index].views[call->view];
    return vm->definitions[index].functions[call->hook];
}
