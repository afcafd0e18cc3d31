/* hooks.h: the hooks that have a file of their own. What each does: broker/hooks.h. */
#ifndef TW_SCRIPT_HOOKS_H
#define TW_SCRIPT_HOOKS_H

#include "script/call.h"

int tw_script_auth(void *vm, const struct tw_auth_request *request, struct tw_auth *out,
                   struct tw_failure *failure);
int tw_script_on_expire(void *vm, struct tw_identity *client, double *expires,
                        struct tw_failure *failure);
int tw_script_open(void *vm, struct tw_channel *channel, struct tw_effects *effects,
                   struct tw_failure *failure);
int tw_script_save(void *vm, struct tw_channel *channel, struct tw_failure *failure);
int tw_script_carry(void *vm, struct tw_channel *channel, struct tw_effects *effects,
                    struct tw_failure *failure);

#endif
