/* EST's encodings. Guarantees: whatever white space or armour a client sends is read alike; what is accepted is one DER
 * value and nothing after it; answers have the layout that the client can read (strongSwan wants no line ends, libest
 * needs them). */
#include "est/wire.h"

#include <openssl/rand.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "crypto/cert.h"
#include "crypto/der.h"

enum { LINE = 64 };

/* One SEQUENCE that fills the bytes. */
static int check_der(struct bytes der, struct err *e)
{
	struct der in = der_of(der);
	struct bytes body;

	if (!der_expect(&in, DER_SEQUENCE, &body))
		return err_set(e, ERR_INVALID, "the body is no DER SEQUENCE");
	return der_done(&in) ? 0 : err_set(e, ERR_INVALID, "the body has something after the request");
}

static bool is_pem(struct bytes b)
{
	return b.n > 11 && memmem(b.p, b.n, "-----BEGIN ", 11) != NULL;
}

static int one_pem(struct arena *a, struct bytes body, struct bytes *ret, struct err *e)
{
	struct bytes left = body, second;
	char *label;

	if (!pem_next(a, &left, NULL, &label, ret) || ret->n == 0)
		return err_set(e, ERR_INVALID, "the body is damaged PEM");
	if (strcmp(label, "CERTIFICATE REQUEST") != 0 && strcmp(label, "NEW CERTIFICATE REQUEST") != 0)
		return err_set(e, ERR_INVALID, "the body is PEM, but no CERTIFICATE REQUEST");
	return pem_next(a, &left, NULL, NULL, &second) ? err_set(e, ERR_INVALID, "the body holds more than one request")
						       : 0;
}

int wire_decode(struct arena *a, struct bytes body, struct bytes *ret, struct err *e)
{
	struct bytes der;

	if (body.n == 0)
		return err_set(e, ERR_INVALID, "the body is empty");
	if (body.p[0] == DER_SEQUENCE && body.n > 1 && (body.p[1] & 0x80)) {
		der = body; /* a base64 text would go on with one of its letters */
	} else if (is_pem(body)) {
		if (one_pem(a, body, &der, e) != 0)
			return -1;
	} else if (b64_decode(a, body, &der) != 0) {
		return err_set(e, ERR_INVALID, "the body is not base64 (RFC 8951 3.1)");
	}
	if (check_der(der, e) != 0)
		return -1;
	*ret = der;
	return 0;
}

struct bytes wire_base64(struct arena *a, const struct http_request *in, struct bytes der)
{
	char *text = b64_encode(a, der), *out, *to;
	size_t n = strlen(text);

	if (!http_field(in, "user-agent"))
		return bytes_of(text);
	out = to = arena_alloc(a, 1, n + n / LINE + 2);
	for (size_t i = 0; i < n; i += LINE) {
		size_t take = n - i < LINE ? n - i : LINE;

		memcpy(to, text + i, take);
		to += take;
		*to++ = '\n';
	}
	return (struct bytes){ (unsigned char *)out, (size_t)(to - out) };
}

void wire_answer(const struct http_request *in, struct http_response *out, const char *type, struct bytes der)
{
	out->status = 200;
	out->type = type;
	/* superfluous by RFC 8951, but some clients need it */
	http_add_header(out, "Content-Transfer-Encoding", "base64");
	out->body = wire_base64(in->arena, in, der);
}

/* Lines of a multipart end with CRLF (RFC 2046 4.1.1), those of base64 too. */
static void put_part(struct buf *out, const struct http_request *in, const struct wire_part *part, const char *boundary)
{
	struct bytes text = wire_base64(in->arena, in, part->der);

	buf_printf(out, "--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: base64\r\n\r\n", boundary, part->type);
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\n')
			buf_putc(out, '\r');
		buf_putc(out, (char)text.p[i]);
	}
	if (text.n && text.p[text.n - 1] != '\n')
		buf_puts(out, "\r\n");
}

void wire_answer_parts(const struct http_request *in, struct http_response *out, const struct wire_part *v, size_t n)
{
	unsigned char random[12] = { 0 };
	SCOPED_BUF text = buf_init(BUF_TEXT);
	char *boundary;

	if (RAND_bytes(random, sizeof(random)) != 1)
		random[0] = 1; /* base64 holds no "--", so any boundary does */
	boundary = arena_printf(in->arena, "lamassu-%s",
				hex_encode(in->arena, (struct bytes){ random, sizeof(random) }));
	for (size_t i = 0; i < n; i++)
		put_part(&text, in, &v[i], boundary);
	buf_printf(&text, "--%s--\r\n", boundary);
	out->status = 200;
	out->type = arena_printf(in->arena, "multipart/mixed; boundary=%s", boundary);
	out->body = (struct bytes){ arena_memdup(in->arena, text.p, text.n), text.n };
}

bool wire_wants_pem(const struct http_request *in)
{
	const char *accept = http_field(in, "accept");

	return accept && strstr(accept, "application/x-pem-file") != NULL;
}
