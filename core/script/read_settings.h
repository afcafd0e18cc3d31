/* read_settings.h: the table of broker.lua -> struct tw_settings (broker/settings.h). Which keys
 * there are, their types and ranges stand in one table, in read_settings.c. */
#ifndef TW_SCRIPT_READ_SETTINGS_H
#define TW_SCRIPT_READ_SETTINGS_H

#include "broker/settings.h"
#include "script/reader.h"

/* Sets what the overrides say in the table at `index`. */
void tw_read_overrides(struct tw_reader *reader, int index);
/* Reads the table at `index` over the defaults that `out` has. `is_app`: the table is a single-file
 * app's, so `auth` and `channels` are not settings, but no mistake. */
void tw_read_settings(struct tw_reader *reader, int index, bool is_app, struct tw_settings *out);
/* The parts of it that are lists (read_lists.c). */
void tw_read_listen(struct tw_reader *reader, int index, struct tw_settings *out);
void tw_read_proxies(struct tw_reader *reader, int index, struct tw_settings *out);
void tw_read_origins(struct tw_reader *reader, int index, struct tw_settings *out);
void tw_read_env(struct tw_reader *reader, int index, struct tw_settings *out);
void tw_read_add_text(char ***list, size_t *count, struct tw_str text);
/* The path of each setting, for tests and docs; ends with NULL. */
const char *tw_read_settings_path(size_t i);

#endif
