/* The subjectAltName value: a SEQUENCE OF GeneralName from a list of texts, and back. Names that are given twice are
 * written once. */
#include "crypto/ext.h"
#include "crypto/gn.h"

enum { SAN_MAX = 1000 };

int san_build(struct arena *a, const struct strv *names, struct bytes *ret_value, struct err *e)
{
	struct bytes *parts = arena_new_array(a, names->n + 1, struct bytes);
	size_t n = 0;

	if (names->n == 0 || names->n > SAN_MAX)
		return err_set(e, ERR_INVALID, "between 1 and %d alternative names are possible (RFC 5280 4.2.1.6)",
			       SAN_MAX);
	for (size_t i = 0; i < names->n; i++) {
		size_t k = 0;

		if (gn_build(a, names->v[i], false, &parts[n], e) < 0)
			return -1;
		while (k < n && !bytes_equal(parts[k], parts[n]))
			k++;
		n += k == n;
	}
	*ret_value = der_join(a, DER_SEQUENCE, parts, n);
	return 0;
}

int san_parse(struct arena *a, struct bytes value, struct strv *ret, struct err *e)
{
	struct strv names = { .set = true };
	struct der d = der_of(value);
	struct bytes seq, v;
	int tag;

	if (!der_expect(&d, DER_SEQUENCE, &seq) || !der_done(&d) || seq.n == 0)
		return err_set(e, ERR_INVALID, "malformed subjectAltName (RFC 5280 4.2.1.6)");
	for (d = der_of(seq); !der_done(&d);) {
		if (names.n == SAN_MAX)
			return err_set(e, ERR_INVALID, "more than %d alternative names", SAN_MAX);
		if (!der_next(&d, &tag, &v, NULL))
			return err_set(e, ERR_INVALID, "malformed subjectAltName (RFC 5280 4.2.1.6)");
		names.v = arena_grow(a, names.v, names.n, sizeof(*names.v));
		names.v[names.n] = gn_text(a, tag, v, false, e);
		if (!names.v[names.n++])
			return -1;
	}
	*ret = names;
	return 0;
}
