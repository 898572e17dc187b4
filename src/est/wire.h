#pragma once
#include "serve/exchange.h"

/* EST's encodings (RFC 7030 4, RFC 8951 3). */

/* The body of a request: base64 with any white space, PEM, or DER; *ret is one DER SEQUENCE without anything after
 * it. */
int wire_decode(struct arena *, struct bytes body, struct bytes *ret, struct err *) NODISCARD;
/* base64 for a response: lines of 64 ended by LF for clients that name themselves (User-Agent), else one line: no
 * single form is read by every client in the field. */
struct bytes wire_base64(struct arena *, const struct http_request *, struct bytes der);
/* A single part with that in it. */
void wire_answer(const struct http_request *, struct http_response *, const char *type, struct bytes der);
struct wire_part {
	const char *type;
	struct bytes der;
};
/* multipart/mixed, each part base64. */
void wire_answer_parts(const struct http_request *, struct http_response *, const struct wire_part *, size_t n);
/* PEM, where the client asks for it: Accept: application/x-pem-file. */
bool wire_wants_pem(const struct http_request *);
