/* mail.h: what hubs send each other. A mail has one owner, who passes it on or frees it.
 *
 * Two lanes. Up: to a channel's home, from clients' workers; bounded, a full lane pushes back on
 * the sockets that feed it. Down: to clients' workers; always drained; the up
 * mail this may make (ask again, a late farewell) waits with the sender if it must, so nothing can
 * lock. */
#ifndef TW_BROKER_MAIL_H
#define TW_BROKER_MAIL_H

#include "broker/channel.h"
#include "broker/hooks.h"
#include "broker/variants.h"

enum tw_mail_kind {
    /* up */
    TW_MAIL_SUBSCRIBE, /* channel, client, by_script, depth; ask_again: it is subscribed already */
    TW_MAIL_UNSUBSCRIBE, /* channel, client, class, epoch, dropped, withheld, depth */
    TW_MAIL_RELEASE,     /* channel, class, epoch: a sub is of another class now */
    TW_MAIL_PUBLISH,     /* channel, client or NULL, message, request, depth */
    /* down */
    TW_MAIL_SUBSCRIBED, /* answer: channel, client, class, status, failure, epoch, offset,
                           ask_again, depth */
    TW_MAIL_PUBLISHED,  /* answer: channel, client or NULL, status, failure, epoch, offset, request
                         */
    TW_MAIL_DELIVER,    /* channel, message, variants or NULL */
    TW_MAIL_ASK_AGAIN,  /* channel: have each subscriber authorized again */
    TW_MAIL_GONE,       /* channel: close its subscribers with 4404 */
    TW_MAIL_SEND,       /* client, message */
    TW_MAIL_DISCONNECT, /* client, code, failure.message = reason */
    TW_MAIL_ADD_SUB,    /* client, channel, depth: a handler subscribes it */
    TW_MAIL_END_SUB,    /* client, channel, depth: a handler ends that */
    TW_MAIL_CALL        /* call(hub, mail) on the receiver's thread; is_up chooses the lane */
};

struct tw_hub;

struct tw_mail {
    struct tw_mail *next;
    enum tw_mail_kind kind;
    uint16_t from; /* the sender's index */
    uint8_t depth; /* how many handlers it is away from the outside world */
    uint8_t class; /* see audience.h */
    bool is_up;    /* the lane; set by tw_mail_new */
    bool ask_again, by_script;
    int status;
    unsigned code;
    struct tw_name *channel;      /* ref */
    struct tw_identity *client;   /* ref */
    struct tw_message *message;   /* ref */
    struct tw_variants *variants; /* ref */
    void *request;                /* the asker's, given back in the answer */
    uint64_t offset, dropped, withheld;
    char epoch[TW_EPOCH_SIZE];
    struct tw_failure *failure;                             /* owned, or NULL */
    void (*call)(struct tw_hub *hub, struct tw_mail *mail); /* TW_MAIL_CALL */
};

struct tw_mail *tw_mail_new(enum tw_mail_kind kind);
/* Drops its refs. */
void tw_mail_free(struct tw_mail *mail);

#endif
