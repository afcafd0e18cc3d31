/* broker_outbox_model_test.c: the outbox against a naive model of it, by random operations; and the
 * stream of its bytes cut at every place. */
#include "broker_outbox_support.h"

enum { SUBS = 3, MAX_ITEMS = 256, TEXT = 24 };

struct item {
    char text[TEXT]; /* the frame */
    char key;        /* 0: none */
    int sub;         /* -1: none */
};

/* What an outbox is, in the simplest words. */
struct model {
    struct item items[MAX_ITEMS];
    size_t count, sent; /* bytes of the first that are gone */
    char control[4096], final[16];
    uint64_t dropped;
};

static void remove_item(struct model *model, size_t at) {
    memmove(&model->items[at], &model->items[at + 1],
            (model->count - at - 1) * sizeof model->items[0]);
    model->count--;
}

/* Of one sub, or of all (-2). */
static size_t bytes_of(const struct model *model, int sub) {
    size_t bytes = 0;
    for (size_t i = 0; i < model->count; i++)
        if (sub == -2 || model->items[i].sub == sub) bytes += strlen(model->items[i].text);
    return bytes;
}

static size_t queued_of(const struct model *model, int sub) {
    size_t count = 0;
    for (size_t i = 0; i < model->count; i++)
        count += model->items[i].sub == sub;
    return count;
}

static bool fits(size_t there, size_t frame, size_t max_bytes) {
    return there == 0 || there + frame <= max_bytes;
}

static bool is_full(const struct model *model, const struct item *item, const struct feed *feed,
                    size_t max_bytes) {
    if (feed && queued_of(model, item->sub) >= feed->topic.queue.size) return true;
    return !fits(bytes_of(model, -2), strlen(item->text), max_bytes);
}

/* Of each key only the newest stays, in the oldest one's place. */
static void drop_stale(struct model *model, int sub) {
    for (size_t i = 0; i < model->count; i++) {
        for (size_t k = i + 1; k < model->count; k++) {
            struct item *older = &model->items[i], *newer = &model->items[k];
            if (older->sub != sub || newer->sub != sub || !older->key || older->key != newer->key)
                continue;
            *older = *newer;
            remove_item(model, k--);
            model->dropped++;
        }
    }
}

/* True if the item took an older one's place. */
static bool conflate(struct model *model, const struct item *item, const struct feed *feed,
                     size_t max_bytes) {
    drop_stale(model, item->sub);
    for (size_t i = model->count; item->key && i-- > 0;) {
        struct item *older = &model->items[i];
        if (older->sub != item->sub || older->key != item->key) continue;
        model->dropped++;
        if (queued_of(model, item->sub) <= feed->topic.queue.size &&
            fits(bytes_of(model, -2) - strlen(older->text), strlen(item->text), max_bytes)) {
            *older = *item;
            return true;
        }
        remove_item(model, i);
        return false;
    }
    return false;
}

static enum tw_push model_push(struct model *model, const struct item *item,
                               const struct feed *feed, size_t max_bytes) {
    enum tw_overflow overflow = feed ? feed->topic.queue.overflow : TW_DROP_NEWEST;
    if (is_full(model, item, feed, max_bytes)) {
        size_t of_others = bytes_of(model, -2) - bytes_of(model, item->sub);
        if (overflow == TW_DISCONNECT) return TW_PUSH_TOO_SLOW;
        if (overflow == TW_DROP_NEWEST || !fits(of_others, strlen(item->text), max_bytes)) {
            model->dropped++;
            return TW_PUSH_REFUSED;
        }
        if (overflow == TW_CONFLATE && conflate(model, item, feed, max_bytes)) return TW_PUSHED;
        for (size_t i = 0; is_full(model, item, feed, max_bytes);) {
            if (model->items[i].sub != item->sub) {
                i++;
                continue;
            }
            remove_item(model, i);
            model->dropped++;
        }
    }
    model->items[model->count++] = *item;
    return TW_PUSHED;
}

static void model_stream(const struct model *model, char *out) {
    size_t i = 0;
    *out = 0;
    if (model->sent > 0) strcat(out, model->items[i++].text + model->sent);
    strcat(out, model->control);
    for (; i < model->count; i++)
        strcat(out, model->items[i].text);
    strcat(out, model->final);
}

static void model_consume(struct model *model, size_t bytes) {
    while (bytes-- > 0) {
        char *text = model->sent == 0 && *model->control ? model->control : NULL;
        if (!text && model->count == 0) text = model->final;
        if (text) {
            memmove(text, text + 1, strlen(text));
            continue;
        }
        model->items[0].sub = -1; /* begun: nobody's */
        if (++model->sent == strlen(model->items[0].text)) {
            remove_item(model, 0);
            model->sent = 0;
        }
    }
}

/* --- both side by side ------------------------------------------------------------------------ */

struct pair {
    struct tw_outbox outbox;
    struct feed feeds[SUBS];
    struct model model;
    struct tw_rand rand;
    uint32_t max_bytes;
    uint64_t dropped;
    size_t most; /* entries alive at once */
    unsigned number;
};

static void compare(struct pair *pair) {
    static char expected[16384], got[16384];
    struct iovec spans[MAX_ITEMS + 4];
    int count = tw_outbox_gather(&pair->outbox, spans, (int)COUNT_OF(spans));
    size_t length = 0;
    for (int i = 0; i < count; i++) {
        memcpy(got + length, spans[i].iov_base, spans[i].iov_len);
        length += spans[i].iov_len;
    }
    got[length] = 0;
    model_stream(&pair->model, expected);
    assert_string_equal(got, expected);
    assert_int_equal(tw_outbox_is_empty(&pair->outbox), !*expected);
    assert_int_equal(pair->dropped, pair->model.dropped);
    assert_int_equal(pair->outbox.bytes, bytes_of(&pair->model, -2));
    assert_int_equal(pair->outbox.count - pair->outbox.dead, pair->model.count);
    for (int i = 0; i < SUBS; i++) {
        assert_int_equal(pair->feeds[i].sub.queued, queued_of(&pair->model, i));
        assert_int_equal(pair->feeds[i].sub.queued_bytes, bytes_of(&pair->model, i));
    }
    if (pair->model.count > pair->most) pair->most = pair->model.count;
    assert_true(pair->outbox.capacity <= TW_OUTBOX_LEAST + 4 * pair->most);
}

static void push_one(struct pair *pair) {
    struct item item = {.sub = (int)tw_rand_below(&pair->rand, SUBS + 1) - 1};
    struct feed *feed = item.sub < 0 ? NULL : &pair->feeds[item.sub];
    char payload[TEXT];
    if (tw_rand_below(&pair->rand, 4) > 0) item.key = (char)('a' + tw_rand_below(&pair->rand, 4));
    int length = snprintf(payload, sizeof payload, "%.*s%u", item.key ? 2 : 0,
                          item.key ? (char[]){item.key, '=', 0} : "", pair->number++);
    for (uint64_t more = tw_rand_below(&pair->rand, 9); more > 0; more--)
        payload[length++] = '.';
    payload[length] = 0;
    snprintf(item.text, sizeof item.text, "|%.22s", payload);
    assert_int_equal(push_text(&pair->outbox, feed ? &feed->sub : NULL, payload, pair->max_bytes,
                               &pair->dropped),
                     model_push(&pair->model, &item, feed, pair->max_bytes));
}

static void consume_some(struct pair *pair) {
    struct iovec spans[8];
    int count = tw_outbox_gather(&pair->outbox, spans, (int)tw_rand_below(&pair->rand, 8) + 1);
    size_t there = 0;
    for (int i = 0; i < count; i++)
        there += spans[i].iov_len;
    size_t written = tw_rand_below(&pair->rand, there + 1);
    tw_outbox_consume(&pair->outbox, written);
    model_consume(&pair->model, written);
}

static void end_one(struct pair *pair) {
    int sub = (int)tw_rand_below(&pair->rand, SUBS);
    struct model *model = &pair->model;
    bool forget = tw_rand_below(&pair->rand, 2) == 0;
    if (forget)
        tw_outbox_forget(&pair->outbox, &pair->feeds[sub].sub);
    else
        tw_outbox_orphan(&pair->outbox, &pair->feeds[sub].sub);
    for (size_t i = model->count; i-- > 0;) {
        if (model->items[i].sub != sub) continue;
        model->items[i].sub = -1;
        if (forget) remove_item(model, i);
    }
}

static void control_one(struct pair *pair) {
    char frame[16];
    snprintf(frame, sizeof frame, "<%u>", pair->number++);
    if (strlen(pair->model.control) > 1000) return;
    assert_int_equal(tw_outbox_try_control(&pair->outbox, frame, strlen(frame)), 0);
    strcat(pair->model.control, frame);
}

static void finish(struct pair *pair) {
    bool discard = tw_rand_below(&pair->rand, 2) == 0;
    tw_outbox_finish(&pair->outbox, "<bye>", 5, discard);
    strcpy(pair->model.final, "<bye>");
    if (discard) pair->model.count = pair->model.sent > 0;
}

static void change_settings(struct pair *pair) {
    struct feed *feed = &pair->feeds[tw_rand_below(&pair->rand, SUBS)];
    feed->topic.queue.size = (uint32_t)tw_rand_below(&pair->rand, 12) + 1;
    feed->topic.queue.overflow = (enum tw_overflow)tw_rand_below(&pair->rand, 4);
    pair->max_bytes = (uint32_t)tw_rand_below(&pair->rand, 200) + 10;
}

static void run_pair(uint64_t seed) {
    static struct pair pair;
    memset(&pair, 0, sizeof pair);
    tw_rand_seed(&pair.rand, seed);
    tw_outbox_init(&pair.outbox);
    for (int i = 0; i < SUBS; i++)
        feed_init(&pair.feeds[i], 4, TW_DROP_OLDEST);
    for (int i = 0; i < 8; i++)
        change_settings(&pair);
    for (int step = 0; step < 600; step++) {
        uint64_t dice = tw_rand_below(&pair.rand, 100);
        if (dice < 65)
            push_one(&pair);
        else if (dice < 85)
            consume_some(&pair);
        else if (dice < 92)
            control_one(&pair);
        else if (dice < 95)
            end_one(&pair);
        else if (dice < 97)
            tw_outbox_shrink(&pair.outbox);
        else
            change_settings(&pair);
        compare(&pair);
    }
    finish(&pair);
    compare(&pair);
    while (!tw_outbox_is_empty(&pair.outbox)) {
        consume_some(&pair);
        compare(&pair);
    }
    tw_outbox_deinit(&pair.outbox);
}

static void does_as_the_model_does(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++)
        run_pair(seed);
}

/* Three frames, control, a last word: cut at every pair of places, with every number of spans. */
static void the_stream_is_the_same_wherever_it_is_cut(void **state) {
    (void)state;
    static const char whole[] = "|one<ping>|two|three<bye>";
    for (size_t first = 1; first < sizeof whole - 1; first++) {
        for (size_t second = 0; first + second < sizeof whole - 1; second++) {
            struct tw_outbox outbox;
            uint64_t dropped = 0;
            char out[64] = "";
            int spans = 1 + (int)(second % 5);
            tw_outbox_init(&outbox);
            push_text(&outbox, NULL, "one", 100, &dropped);
            assert_int_equal(take_bytes(&outbox, out, 1, spans), 1);
            assert_int_equal(tw_outbox_try_control(&outbox, "<ping>", 6), 0);
            push_text(&outbox, NULL, "two", 100, &dropped);
            push_text(&outbox, NULL, "three", 100, &dropped);
            tw_outbox_finish(&outbox, "<bye>", 5, false);
            assert_int_equal(take_bytes(&outbox, out, first - 1, spans), first - 1);
            assert_int_equal(take_bytes(&outbox, out, second, spans), second);
            assert_memory_equal(out, whole, first + second);
            strcat(out, rest_of(&outbox));
            assert_string_equal(out, whole);
            tw_outbox_deinit(&outbox);
        }
    }
}

/* A peer that never reads costs its bounds, in memory and in time, however long it stays. */
static void dropped_ones_do_not_pile_up(void **state) {
    (void)state;
    struct tw_outbox outbox;
    struct feed slow, other;
    uint64_t dropped = 0;
    char out[64] = "";
    tw_outbox_init(&outbox);
    feed_init(&slow, 100, TW_DROP_OLDEST);
    feed_init(&other, 100, TW_DROP_OLDEST);
    struct tw_parcel *parcel = parcel_of("tick");
    tw_outbox_push(&outbox, &slow.sub, parcel, 100000, &dropped);
    take_bytes(&outbox, out, 2, 1); /* the frame at the head has begun and stays */
    for (int i = 0; i < 100000; i++) {
        tw_outbox_push(&outbox, &slow.sub, parcel, 100000, &dropped);
        assert_int_equal(outbox.dead, 0);
    }
    assert_int_equal(outbox.capacity, 128);
    assert_int_equal(dropped, 100000 - 100);
    tw_outbox_push(&outbox, &other.sub, parcel, 100000, &dropped); /* now one in the middle stays */
    for (int i = 0; i < 100000; i++)
        tw_outbox_push(&outbox, &slow.sub, parcel, 100000, &dropped);
    assert_true(outbox.capacity <= 512);
    assert_int_equal(outbox.count - outbox.dead, 102);
    tw_parcel_unref(parcel);
    tw_outbox_deinit(&outbox);
    assert_int_equal(slow.sub.queued + other.sub.queued, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(does_as_the_model_does),
        cmocka_unit_test(the_stream_is_the_same_wherever_it_is_cut),
        cmocka_unit_test(dropped_ones_do_not_pile_up),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
