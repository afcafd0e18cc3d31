/* check.h: `tidewire check`: what is wrong with an app, without serving it. */
#ifndef TW_APP_CHECK_H
#define TW_APP_CHECK_H

#include <stdbool.h>
#include <stdio.h>

#include "tidewire/tidewire.h"

/* Loads the app as `run` does (its files run, its hooks do not) and writes mistakes, warnings,
 * channels and the settings that differ to `out`, for people or as one line of JSON. The exit code:
 * 0 it loads, 1 it does not; `is_strict`: 1 also when there are warnings. */
int tw_check_app(const struct tidewire_options *options, bool as_json, bool is_strict, FILE *out);

#endif
