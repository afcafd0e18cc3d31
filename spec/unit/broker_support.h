/* broker_support.h: what the tests of core/broker share: cmocka with the headers it wants, messages
 * of a given text, names, addresses. */
#ifndef BROKER_SUPPORT_H
#define BROKER_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/status.h"
#include "broker/message.h"
#include "broker/name.h"
#include "broker/topic.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* A frame of the tests: '|' and the payload. */
static inline void mark_frame(struct tw_message *message) {
    message->header = 1;
    message->bytes[TW_FRAME_ROOM - 1] = '|';
}

static inline struct tw_message *message_of(const char *text) {
    struct tw_message *message = tw_message_try_new(text, strlen(text), false);
    assert_non_null(message);
    return message;
}

static inline struct tw_ip ip_of(const char *text) {
    struct tw_ip ip;
    assert_int_equal(tw_ip_parse(tw_str_of(text), &ip), 0);
    return ip;
}

/* Has every TW_CHECK held since the program began? */
static inline int no_failed_checks(void **state) {
    (void)state;
    return tw_check_count() == 0 ? 0 : -1;
}

#endif
