/* PEM (RFC 7468): blocks with strict base64, anything between them ignored, as the explanatory text that other tools
 * put there wants it. A block that is damaged is handed out without bytes, so that it is refused where it is read
 * and never passed over. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/cert.h"

enum { LABEL_MAX = 64, COLUMNS = 64 };

/* Written where it stays: a CRL of megabytes is not copied. */
struct bytes pem_encode(struct arena *a, const char *label, struct bytes der)
{
	size_t lines = der.n / (COLUMNS / 4 * 3) + 1, room = 2 * (strlen(label) + 20) + lines * (COLUMNS + 1);
	char *text = arena_alloc(a, room, 1), *to = text;

	to += snprintf(to, room, "-----BEGIN %s-----\n", label);
	to = b64_lines(to, der, COLUMNS);
	to += snprintf(to, room - (size_t)(to - text), "-----END %s-----\n", label);
	return (struct bytes){ (unsigned char *)text, (size_t)(to - text) };
}

struct bytes cert_pem(struct arena *a, struct bytes der)
{
	return pem_encode(a, "CERTIFICATE", der);
}

/* The next "-----BEGIN label-----" at the start of a line; moves *text behind it. */
static bool next_begin(struct bytes *text, const char **ret_label, size_t *ret_n)
{
	static const char begin[] = "-----BEGIN ";
	const char *start = (const char *)text->p, *end = start + text->n;

	for (const char *p = start; (size_t)(end - p) > sizeof(begin); p++) {
		const char *label, *dashes;

		p = memmem(p, (size_t)(end - p), begin, sizeof(begin) - 1);
		if (!p)
			break;
		if (p > start && p[-1] != '\n' && p[-1] != '\r')
			continue;
		label = p + sizeof(begin) - 1;
		dashes = memmem(label, (size_t)(end - label) < LABEL_MAX + 5 ? (size_t)(end - label) : LABEL_MAX + 5,
				"-----", 5);
		if (!dashes || memchr(label, '\n', (size_t)(dashes - label)))
			continue;
		*ret_label = label;
		*ret_n = (size_t)(dashes - label);
		*text = (struct bytes){ (const unsigned char *)dashes + 5, (size_t)(end - dashes - 5) };
		return true;
	}
	return false;
}

bool pem_next(struct arena *a, struct bytes *text, const char *label, char **ret_label, struct bytes *ret_der)
{
	const char *name;
	size_t n;

	while (text->n && next_begin(text, &name, &n)) {
		char *copy = arena_strndup(a, name, n), *end = arena_printf(a, "-----END %s-----", copy);
		const unsigned char *stop = memmem(text->p, text->n, end, strlen(end));
		struct bytes body = { text->p, stop ? (size_t)(stop - text->p) : 0 };

		if (label && strcmp(copy, label) != 0)
			continue;
		if (stop)
			*text = (struct bytes){ stop + strlen(end), text->n - body.n - strlen(end) };
		if (!stop || b64_decode(a, body, ret_der) < 0)
			*ret_der = (struct bytes){ 0 };
		if (ret_label)
			*ret_label = copy;
		return true;
	}
	return false;
}
