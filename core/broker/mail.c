/* mail.c: mails hold refs of all they speak of. */
#include "broker/mail.h"

#include "base/mem.h"

struct tw_mail *tw_mail_new(enum tw_mail_kind kind) {
    struct tw_mail *mail = TW_NEW(struct tw_mail);
    mail->kind = kind;
    mail->is_up = kind <= TW_MAIL_PUBLISH;
    return mail;
}

void tw_mail_free(struct tw_mail *mail) {
    tw_name_unref(&mail->channel);
    tw_identity_unref(&mail->client);
    tw_message_unref(&mail->message);
    tw_variants_unref(&mail->variants);
    tw_free(mail->failure);
    tw_free(mail);
}
