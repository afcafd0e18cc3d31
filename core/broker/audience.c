/* audience.c: a small table; it is walked, since a channel has a handful of classes. */
#include "broker/audience.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/status.h"

void tw_audience_deinit(struct tw_audience *audience) {
    for (unsigned i = 0; i < audience->count; i++)
        tw_free(audience->classes[i].name);
    tw_free(audience->classes);
    *audience = (struct tw_audience){0};
}

static int find_view(const struct tw_definition *definition, struct tw_str name) {
    for (size_t i = 0; i < definition->view_count; i++)
        if (tw_str_eq(tw_str_of(definition->views[i]), name)) return (int)i;
    return TW_VIEW_NONE;
}

/* A free place, or one more; NULL: too many. */
static struct tw_audience_class *find_place(struct tw_audience *audience, unsigned most) {
    struct tw_audience_class *place = NULL;
    unsigned in_use = 0;
    for (unsigned i = 0; i < audience->count; i++) {
        if (audience->classes[i].held > 0)
            in_use++;
        else
            place = &audience->classes[i];
    }
    if (in_use >= most) return NULL;
    if (place) {
        tw_free(place->name);
        return place;
    }
    size_t size = (audience->count + 1) * sizeof *audience->classes;
    audience->classes = tw_realloc(audience->classes, size);
    return &audience->classes[audience->count++];
}

int tw_audience_hold(struct tw_audience *audience, const struct tw_definition *definition,
                     struct tw_str name, bool again, uint8_t *number) {
    *number = 0;
    if (name.length == 0) return 0;
    struct tw_audience_class *class = NULL;
    for (unsigned i = 0; i < audience->count && !class; i++) {
        struct tw_audience_class *other = &audience->classes[i];
        if (other->held == 0 || other->view == TW_VIEW_LOST) continue;
        if (tw_str_eq(tw_str_of(other->name), name)) class = other;
    }
    if (!class) {
        class = find_place(audience, again ? 2 * TW_MAX_CLASSES : TW_MAX_CLASSES);
        if (!class) return TW_EFULL;
        *class = (struct tw_audience_class){.name = tw_memdup(name.data, name.length),
                                            .view = find_view(definition, name)};
    }
    class->held++;
    *number = (uint8_t)(class - audience->classes + 1);
    return 0;
}

void tw_audience_release(struct tw_audience *audience, uint8_t number) {
    if (number == 0) return;
    if (!TW_CHECK(number <= audience->count && audience->classes[number - 1].held > 0)) return;
    audience->classes[number - 1].held--;
}

void tw_audience_bind(struct tw_audience *audience, const struct tw_definition *definition) {
    for (unsigned i = 0; i < audience->count; i++) {
        struct tw_audience_class *class = &audience->classes[i];
        bool had_view = class->view != TW_VIEW_NONE;
        class->view = find_view(definition, tw_str_of(class->name));
        if (class->view == TW_VIEW_NONE && had_view && definition->has_audience)
            class->view = TW_VIEW_LOST;
    }
}

bool tw_audience_has_views(const struct tw_audience *audience) {
    for (unsigned i = 0; i < audience->count; i++)
        if (audience->classes[i].held > 0 && audience->classes[i].view != TW_VIEW_NONE) return true;
    return false;
}
