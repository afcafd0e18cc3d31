/* audience.h: the classes of listeners that a channel's `audience` has named, at the channel's
 * home.
 *
 * A class has a number (1 and up; 0: of no class), which the subs of its listeners carry. A number
 * is held by each answer of the home that names it, until the client's worker says that the sub has
 * ended or changed its class; a number that nobody holds may become that of another class. So a
 * message can be made for numbers, and what arrives behind an answer fits the sub it was given to.
 */
#ifndef TW_BROKER_AUDIENCE_H
#define TW_BROKER_AUDIENCE_H

#include "broker/generation.h"

#define TW_MAX_CLASSES 64 /* per channel; twice that while a reload changes who is of which */
#define TW_MAX_CLASS_NAME 100

/* Of a class: an index into definition->views, or one of these. */
enum {
    TW_VIEW_NONE = -1, /* hears the message as it is */
    TW_VIEW_LOST = -2  /* had a view before a reload and has none now: hears nothing until each of
                          its listeners was asked for again, since its name may just be another */
};

struct tw_audience_class {
    char *name;    /* owned */
    uint32_t held; /* 0: free */
    int view;
};

/* All zero is empty. */
struct tw_audience {
    struct tw_audience_class *classes; /* number - 1 */
    unsigned count;
};

void tw_audience_deinit(struct tw_audience *audience);
/* Holds the class of that name, 0 for an empty one. 0 and *number, or TW_EFULL: too many. `again`:
 * the client is of some class already. */
int tw_audience_hold(struct tw_audience *audience, const struct tw_definition *definition,
                     struct tw_str name, bool again, uint8_t *number);
void tw_audience_release(struct tw_audience *audience, uint8_t number);
/* The definition is another one, and so may be the views. */
void tw_audience_bind(struct tw_audience *audience, const struct tw_definition *definition);
/* Does anyone listen who does not hear the message as it is? */
bool tw_audience_has_views(const struct tw_audience *audience);

#endif
