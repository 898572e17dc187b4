#pragma once
#include <stdbool.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

/* One GeneralName (RFC 5280 4.2.1.6) as text and as DER; text as san_build describes it. In a subtree of name
 * constraints addresses have a mask ("10.0.0.0/8") and DNS, email and URI name hosts or domains. */
enum gn_tag { GN_OTHER = 0xa0, GN_EMAIL = 0x81, GN_DNS = 0x82, GN_X400 = 0xa3, GN_DIR = 0xa4, GN_EDI = 0xa5,
	      GN_URI = 0x86,
	      GN_IP = 0x87, GN_RID = 0x88 };

int gn_build(struct arena *, const char *text, bool subtree, struct bytes *ret_tlv, struct err *) NODISCARD;
/* NULL with ERR_INVALID: not a name, or of a kind that has no text form. */
char *gn_text(struct arena *, int tag, struct bytes value, bool subtree, struct err *);
int gn_uri(struct arena *, const char *uri, struct bytes *ret_tlv, struct err *) NODISCARD;
