/* base_list_test.c */
#include "base_support.h"

#include "base/list.h"
#include "base/mem.h"

struct item {
    int number;
    struct tw_list link;
};

static void assert_order(const struct tw_list *head, const char *want) {
    char got[16] = "";
    size_t length = 0;
    const struct tw_list *node = head->next;
    for (; node != head; node = node->next) {
        assert_ptr_equal(node->next->prev, node);
        assert_true(length < sizeof got - 1);
        got[length++] = (char)('0' + TW_CONTAINER(node, const struct item, link)->number);
    }
    assert_ptr_equal(head->next->prev, head);
    got[length] = 0;
    assert_string_equal(got, want);
}

static void test_append_remove_shift(void **state) {
    (void)state;
    struct tw_list head;
    struct item items[4];
    tw_list_init(&head);
    assert_true(tw_list_is_empty(&head));
    assert_null(tw_list_shift(&head));
    for (int i = 0; i < 4; i++) {
        items[i].number = i;
        tw_list_init(&items[i].link);
        assert_false(tw_list_is_linked(&items[i].link));
        tw_list_append(&head, &items[i].link);
        assert_true(tw_list_is_linked(&items[i].link));
    }
    assert_order(&head, "0123");
    tw_list_remove(&items[2].link);
    assert_order(&head, "013");
    tw_list_remove(&items[2].link); /* again */
    assert_false(tw_list_is_linked(&items[2].link));
    assert_order(&head, "013");
    assert_ptr_equal(tw_list_shift(&head), &items[0].link);
    assert_false(tw_list_is_linked(&items[0].link));
    tw_list_append(&head, &items[0].link);
    assert_order(&head, "130");
    while (tw_list_shift(&head)) {
    }
    assert_true(tw_list_is_empty(&head));
    for (int i = 0; i < 4; i++)
        assert_false(tw_list_is_linked(&items[i].link));
}

static void test_move(void **state) {
    (void)state;
    struct tw_list from, to;
    struct item items[3];
    for (int count = 0; count <= 3; count++) {
        tw_list_init(&from);
        for (int i = 0; i < count; i++) {
            items[i].number = i;
            tw_list_append(&from, &items[i].link);
        }
        tw_list_move(&to, &from);
        assert_true(tw_list_is_empty(&from));
        assert_order(&to, &"012\0"
                           "01\0\0"
                           "0\0\0\0"
                           "\0"[(3 - count) * 4]);
        struct item last = {.number = 9};
        tw_list_append(&from, &last.link); /* both work on */
        assert_order(&from, "9");
        tw_list_remove(&last.link);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_remove_shift),
        cmocka_unit_test(test_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
