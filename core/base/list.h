/* list.h: intrusive doubly linked ring. A node that is in no list points at itself, so removal is
 * idempotent and `tw_list_is_linked` is cheap. */
#ifndef TW_BASE_LIST_H
#define TW_BASE_LIST_H

#include <stdbool.h>

struct tw_list {
    struct tw_list *next, *prev;
};

static inline void tw_list_init(struct tw_list *node) {
    node->next = node->prev = node;
}

static inline bool tw_list_is_linked(const struct tw_list *node) {
    return node->next != node;
}

static inline bool tw_list_is_empty(const struct tw_list *head) {
    return head->next == head;
}

static inline void tw_list_remove(struct tw_list *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
    tw_list_init(node);
}

/* `node` must be in no list. */
static inline void tw_list_append(struct tw_list *head, struct tw_list *node) {
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* The first node, removed; NULL if there is none. */
static inline struct tw_list *tw_list_shift(struct tw_list *head) {
    if (tw_list_is_empty(head)) return 0;
    struct tw_list *first = head->next;
    tw_list_remove(first);
    return first;
}

/* Moves all of `from` into the empty `to`; `from` is empty then. */
static inline void tw_list_move(struct tw_list *to, struct tw_list *from) {
    tw_list_init(to);
    if (tw_list_is_empty(from)) return;
    *to = *from;
    to->next->prev = to->prev->next = to;
    tw_list_init(from);
}

/* Moves all of `from` behind what `to` has; `from` is empty then. */
static inline void tw_list_append_all(struct tw_list *to, struct tw_list *from) {
    if (tw_list_is_empty(from)) return;
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    tw_list_init(from);
}

#endif
