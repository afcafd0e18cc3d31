/* revive.h: a VM that the guard has killed is built anew from the same files. Its channels' states
 * are gone with the old one; `incarnation` tells the hub to open them again.
 *
 *   alive -> dead    a handler could not be stopped (call.c)
 *   dead -> alive    at once; or, if the files do not load now, by the first who needs it when a
 *                    second has passed, then two, four, ... 32: the hub before hooks of channels,
 *                    and auth
 *
 * While it is dead every call fails with TW_EUNLOADED: nobody is let in whom it would have to ask
 * about, and nothing passes that it would have to see. */
#ifndef TW_SCRIPT_REVIVE_H
#define TW_SCRIPT_REVIVE_H

#include "script/vm.h"

/* True: it lives. Not during a call. */
bool tw_vm_revive(struct tw_vm *vm);
/* TW_EUNLOADED, with why it does not load and when it is tried again. */
int tw_vm_refuse(const struct tw_vm *vm, struct tw_failure *failure);

#endif
