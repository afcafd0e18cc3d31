/* specs.h: `tidewire test`: the specs of an app, run by the tidewire-test beside the binary. */
#ifndef TW_APP_SPECS_H
#define TW_APP_SPECS_H

/* Replaces the process by busted on `app`/spec (NULL: the current folder), with the app's folder as
 * the current one. `rest`: more arguments for busted, ended by NULL. Returns, with an exit code,
 * only if that fails; says why on stderr. */
int tw_run_specs(const char *app, char **rest);

#endif
