/* name.c: counted channel names. */
#include "broker/name.h"

#include <string.h>

#include "base/mem.h"

static struct tw_name *fill(struct tw_name *name, struct tw_str text);

struct tw_name *tw_name_new(struct tw_str text) {
    return fill(tw_alloc(sizeof(struct tw_name) + text.length + 1), text);
}

struct tw_name *tw_name_try_new(struct tw_str text) {
    struct tw_name *name = tw_try_alloc(sizeof(struct tw_name) + text.length + 1);
    return name ? fill(name, text) : NULL;
}

static struct tw_name *fill(struct tw_name *name, struct tw_str text) {
    char *bytes = (char *)(name + 1);
    atomic_init(&name->refs, 1);
    if (text.length) memcpy(bytes, text.data, text.length);
    name->text = (struct tw_str){bytes, text.length};
    name->hash = tw_str_hash(text);
    return name;
}

struct tw_name *tw_name_ref(struct tw_name *name) {
    atomic_fetch_add_explicit(&name->refs, 1, memory_order_relaxed);
    return name;
}

void tw_name_unref(struct tw_name **slot) {
    struct tw_name *name = *slot;
    *slot = NULL;
    if (name && atomic_fetch_sub_explicit(&name->refs, 1, memory_order_acq_rel) == 1) tw_free(name);
}
