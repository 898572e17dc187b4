/* Reads the text of ledger entries. What is read here is exactly what rec_load would read: the reader for lines takes
 * only the plain subset of YAML whose meaning cannot be in doubt, and leaves all else, errors included, to rec_load. */
#include "state/entry.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "base/tm.h"
#include "crypto/digest.h"
#include "model/device.h"
#include "model/ledger_records.h"

enum { LABEL_MAX = 190 };

struct line {
	const char *p, *end; /* end: at the line break */
};

static bool next_line(struct bytes *text, struct line *ret)
{
	const unsigned char *nl = text->n ? memchr(text->p, '\n', text->n) : NULL;

	if (!nl)
		return false;
	*ret = (struct line){ (const char *)text->p, (const char *)nl };
	text->n -= (size_t)(nl + 1 - text->p);
	text->p = nl + 1;
	return true;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* May c stand inside a plain scalar of one line, whatever stands around it? In flow lists fewer may. */
static bool is_plain(char c, bool flow)
{
	return is_letter(c) || (c && strchr("_/.$-+=@() ;~^%", c)) || (!flow && c && strchr(",!?'*<>|", c));
}

/* The scalar that fills p..end, plain or in double quotes without escapes; NULL when it is something else. */
static char *scalar(struct arena *a, const char *p, const char *end, bool flow)
{
	static const char *const words[] = { "null", "true", "false", "yes", "no", "on", "off" };
	char *s;

	if (end - p >= 2 && *p == '"' && end[-1] == '"') {
		for (const char *c = p + 1; c < end - 1; c++)
			if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
				return NULL;
		return arena_strndup(a, p + 1, (size_t)(end - p) - 2);
	}
	if (p == end || (!is_letter(*p) && !strchr("_/.$", *p)) || strchr(" :", end[-1]))
		return NULL;
	for (const char *c = p; c < end; c++)
		if (!is_plain(*c, flow) && !(*c == ':' && (is_letter(c[1]) || c[1] == '/')))
			return NULL;
	s = arena_strndup(a, p, (size_t)(end - p));
	for (size_t i = 0; end - p <= 5 && i < COUNT(words); i++)
		if (strcasecmp(s, words[i]) == 0)
			return NULL;
	return s;
}

static void append(struct arena *a, struct strv *v, char *s)
{
	v->v = arena_grow(a, v->v, v->n, sizeof(*v->v));
	v->v[v->n++] = s;
	v->set = true;
}

/* "[a, b]" */
static bool flow_list(struct arena *a, const char *p, const char *end, struct strv *ret)
{
	struct strv v = { .set = true };

	if (end - p < 3 || *p != '[' || end[-1] != ']')
		return false;
	for (p++, end--; p < end;) {
		const char *stop = *p == '"' ? memchr(p + 1, '"', (size_t)(end - p) - 1)
					     : memchr(p, ',', (size_t)(end - p));
		char *s;

		stop = !stop ? end : *p == '"' ? stop + 1 : stop;
		s = scalar(a, p, stop, true);
		if (!s || (stop < end && (end - stop < 3 || stop[0] != ',' || stop[1] != ' ')))
			return false;
		append(a, &v, s);
		p = stop < end ? stop + 2 : end;
	}
	*ret = v;
	return true;
}

/* Lines "  - item" */
static bool block_list(struct arena *a, struct bytes *text, struct strv *ret)
{
	struct strv v = { 0 };
	struct line l;

	while (text->n > 4 && memcmp(text->p, "  - ", 4) == 0) {
		char *s;

		if (!next_line(text, &l))
			return false;
		s = scalar(a, l.p + 4, l.end, false);
		if (!s)
			return false;
		append(a, &v, s);
	}
	*ret = v;
	return v.n > 0;
}

static bool set_int(const struct field *f, const char *s, int64_t *ret)
{
	size_t sign = *s == '-', n = strlen(s + sign);
	int64_t v = 0;

	if (n == 0 || n > 18 || strspn(s + sign, "0123456789") != n || (s[sign] == '0' && (n > 1 || sign)))
		return false;
	for (const char *c = s + sign; *c; c++)
		v = 10 * v + (*c - '0');
	v = sign ? -v : v;
	*ret = v;
	return (f->min == 0 && f->max == 0) || (v >= f->min && v <= f->max);
}

static bool set_enum(const struct field *f, const char *s, int *ret)
{
	for (int i = 0; f->names[i]; i++)
		if (strcmp(s, f->names[i]) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

static bool set_scalar(struct arena *a, const struct field *f, const struct line *l, void *member)
{
	struct err ignored;
	char *s;

	/* A negative number is the one plain scalar that may start with '-'. */
	if (f->kind == F_INT && *l->p == '-')
		return set_int(f, arena_strndup(a, l->p, (size_t)(l->end - l->p)), member);
	if (f->kind == F_BOOL) {
		size_t n = (size_t)(l->end - l->p);

		*(bool *)member = n == 4;
		return (n == 4 && memcmp(l->p, "true", 4) == 0) || (n == 5 && memcmp(l->p, "false", 5) == 0);
	}
	s = *l->p == '"' && f->kind != F_STR ? NULL : scalar(a, l->p, l->end, false);
	if (!s)
		return false;
	switch (f->kind) {
	case F_STR:
		*(char **)member = s;
		return true;
	case F_INT:
		return set_int(f, s, member);
	case F_ENUM:
		return set_enum(f, s, member);
	case F_TIME:
		return f->min == 0 && f->max == 0 && tm_parse(s, member, &ignored) == 0 && *(int64_t *)member != 0;
	default:
		return false;
	}
}

/* The field whose name l starts with; l is advanced past "name:". Fields mostly come in the table's order: *at is a
 * guess. */
static const struct field *field_of(const struct schema *sc, struct line *l, size_t *at)
{
	const char *colon = memchr(l->p, ':', (size_t)(l->end - l->p));
	size_t n = colon ? (size_t)(colon - l->p) : 0;

	for (int round = 0; colon && round < 2; round++, *at = 0)
		for (; sc->fields[*at].name; (*at)++) {
			const struct field *f = &sc->fields[*at];

			if (strlen(f->name) == n && memcmp(f->name, l->p, n) == 0) {
				l->p = colon + 1;
				return f->flags & (F_OUT | F_SECRET) ? NULL : f;
			}
		}
	return NULL;
}

bool entry_load_plain(struct arena *a, const struct schema *sc, struct bytes head, void *rec)
{
	uint64_t seen = 0;
	size_t at = 0;
	struct line l;

	rec_default(a, sc, rec);
	while (head.n > 0) {
		const struct field *f;
		char *member;

		if (!next_line(&head, &l))
			return false;
		f = field_of(sc, &l, &at);
		if (!f || at > 63 || seen & UINT64_C(1) << at)
			return false;
		seen |= UINT64_C(1) << at;
		member = (char *)rec + f->off;
		if (l.p == l.end) {
			if (f->kind != F_STRV || !block_list(a, &head, (struct strv *)(void *)member))
				return false;
			continue;
		}
		if (*l.p++ != ' ' || l.p == l.end)
			return false;
		if (f->kind == F_STRV ? !flow_list(a, l.p, l.end, (struct strv *)(void *)member)
				      : !set_scalar(a, f, &l, member))
			return false;
	}
	for (size_t i = 0; sc->fields[i].name; i++)
		if ((sc->fields[i].flags & F_REQ) && !(seen & UINT64_C(1) << i))
			return false;
	return true;
}

/* Where the first PEM block starts; text.n when there is none. */
static size_t head_length(struct bytes text)
{
	static const char begin[] = "\n-----BEGIN ";
	const unsigned char *p;

	if (text.n >= sizeof(begin) - 2 && memcmp(text.p, begin + 1, sizeof(begin) - 2) == 0)
		return 0;
	p = text.n ? memmem(text.p, text.n, begin, sizeof(begin) - 1) : NULL;
	return p ? (size_t)(p + 1 - text.p) : text.n;
}

int entry_load(struct arena *a, const struct schema *sc, const char *file, struct bytes text, void *rec,
	       struct bytes *ret_body, struct err *e)
{
	size_t n = head_length(text);
	struct err ignored = { 0 };

	if (ret_body)
		*ret_body = (struct bytes){ text.p + n, text.n - n };
	if (entry_load_plain(a, sc, (struct bytes){ text.p, n }, rec) &&
	    (!sc->check || sc->check(a, rec, &ignored) == 0))
		return 0;
	return rec_load(a, sc, file, (struct bytes){ text.p, n }, rec, e);
}

char *entry_device_label(struct arena *a, const char *id)
{
	static const char hex[] = "0123456789ABCDEF";
	char *label = arena_alloc(a, 3 * strlen(id) + 1, 1), *to = label;
	const struct bytes whole = bytes_of(id);

	for (; *id; id++) {
		unsigned char c = (unsigned char)*id;

		if (is_letter(*id) || c == '-' || c == '_') {
			*to++ = *id;
		} else {
			*to++ = '%';
			*to++ = hex[c >> 4];
			*to++ = hex[c & 15];
		}
	}
	if (to - label <= LABEL_MAX)
		return label;
	/* No file system takes more than 255 bytes for a name. */
	return arena_printf(a, "%.*s~%.32s", LABEL_MAX - 33, label, sha256_hex(a, whole));
}

int entry_check_name(const char *path, const char *label, struct err *e)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t n = strlen(label);

	if (strncmp(name, label, n) == 0 && name[n] == '.')
		return 0;
	return err_set(e, ERR_INVALID, "%s: the name does not begin with %s", path, label);
}

int entry_check(struct arena *a, const char *path, struct bytes text, struct err *e)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	struct revocation revocation;
	struct certrec cert;
	struct crlrec crl;
	struct metachange change;
	struct device_entry device;
	struct eventrec event;
	struct bytes body;

	if (text_has_prefix(path, "issued/")) {
		if (entry_load(a, &certrec_type, path, text, &cert, &body, e) != 0 ||
		    entry_check_name(path, cert.serial_number, e) != 0)
			return -1;
		return body.n >= sizeof(begin) && memcmp(body.p, begin, sizeof(begin) - 1) == 0
			       ? 0 : err_set(e, ERR_INVALID, "%s: no certificate follows the head", path);
	}
	if (text_has_prefix(path, "revoked/"))
		return entry_load(a, &revocation_type, path, text, &revocation, NULL, e) != 0
			       ? -1 : entry_check_name(path, revocation.serial_number, e);
	if (text_has_prefix(path, "devices/"))
		return entry_load(a, &device_entry_type, path, text, &device, NULL, e) != 0
			       ? -1 : entry_check_name(path, entry_device_label(a, device.device), e);
	if (text_has_prefix(path, "crls/"))
		return entry_load(a, &crlrec_type, path, text, &crl, NULL, e);
	if (text_has_prefix(path, "meta/"))
		return entry_load(a, &metachange_type, path, text, &change, NULL, e);
	if (text_has_prefix(path, "events/"))
		return entry_load(a, &eventrec_type, path, text, &event, NULL, e) != 0
			       ? -1 : entry_check_name(path, entry_device_label(a, event.subject), e);
	return 0;
}
