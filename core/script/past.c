/* past.c: who is kept, and when. */
#include "script/past.h"

#include "script/source.h"
#include "script/vm.h"

void tw_past_init(struct tw_past *past, const struct tw_vm *vm) {
    *past = (struct tw_past){.source = tw_source_ref(vm->source)};
}

void tw_past_deinit(struct tw_past *past) {
    tw_source_unref(&past->source);
    tw_source_unref(&past->before);
}

void tw_past_on_reload(struct tw_past *past, const struct tw_generation *old,
                       const struct tw_generation *next, const struct tw_vm *vm) {
    if (next->print != old->print) {
        tw_source_unref(&past->before);
        past->before = past->source;
        past->before_number = old->number;
    } else {
        tw_source_unref(&past->source);
    }
    past->source = tw_source_ref(vm->source);
    past->left_print = 0;
}

void tw_past_on_rollback(struct tw_past *past, const struct tw_generation *old) {
    tw_source_unref(&past->source);
    past->source = past->before;
    past->before = NULL;
    past->left_print = old->print;
}
