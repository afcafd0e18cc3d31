/* read_definition.h: the table that a file of channels/ returned -> struct tw_definition
 * (broker/generation.h) and the functions of it, kept in the VM. */
#ifndef TW_SCRIPT_READ_DEFINITION_H
#define TW_SCRIPT_READ_DEFINITION_H

#include "broker/generation.h"
#include "script/reader.h"
#include "script/vm.h"

/* Reads the table at `index`. `name` is the default name; `queue` what broker.lua says about
 * queues. `out`, and the functions of `kept`, are all zero at first and filled as far as possible;
 * mistakes are reported. `is_first`: warn of what has no effect yet (once per load, not once per
 * VM). */
void tw_read_definition(struct tw_reader *reader, int index, struct tw_str name,
                        const struct tw_queue_settings *queue, bool is_first,
                        struct tw_definition *out, struct tw_vm_definition *kept);
/* The path of each key, for tests and docs; ends with NULL. */
extern const char *const tw_read_definition_paths[];

#endif
