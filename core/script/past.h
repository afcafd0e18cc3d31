/* past.h: the files of the generation that runs and of the one before it, kept in memory: to go
 * back needs no disk. "Before" is the last generation with other files: to load the same twice
 * makes nothing to go back to. After going back there is nothing further back, so that whoever asks
 * twice does not get the broken files again. */
#ifndef TW_SCRIPT_PAST_H
#define TW_SCRIPT_PAST_H

#include "script/script.h"

struct tw_source;

struct tw_past {
    struct tw_source *source, *before; /* refs; before NULL: there is none */
    unsigned before_number;            /* of the newest generation with those files */
    uint64_t left_print;               /* of the files that were left by going back; 0: none */
};

/* `vm`: one of the first generation. */
void tw_past_init(struct tw_past *past, const struct tw_vm *vm);
void tw_past_deinit(struct tw_past *past);
/* A new generation runs, loaded from the disk or from `before`; `vm`: one of it. */
void tw_past_on_reload(struct tw_past *past, const struct tw_generation *old,
                       const struct tw_generation *next, const struct tw_vm *vm);
void tw_past_on_rollback(struct tw_past *past, const struct tw_generation *old);

#endif
