/* Commit objects: the operator is author and committer, the time is UTC, and the message ends with trailers that a
 * program can read. Text from outside cannot forge them: they are the last paragraph, and ours is always the last. */
#include <string.h>

#include "state/internal.h"

/* The message as a person gave it, without control bytes, trailing space or an empty first line. */
static void put_message(struct buf *out, const char *text)
{
	size_t n = strlen(text);

	while (n && strchr(" \t\r\n", text[n - 1]))
		n--;
	while (n && strchr(" \t\r\n", *text)) {
		text++;
		n--;
	}
	for (size_t i = 0; i < n; i++)
		if (text[i] == '\n' || text[i] == '\t' || (unsigned char)text[i] >= 0x20)
			buf_putc(out, text[i]);
	if (!n)
		buf_puts(out, "change");
	buf_puts(out, "\n\n");
}

void commit_text_build(const struct commit_text *c, struct buf *out)
{
	SCOPED_ARENA *a = arena_new();

	buf_printf(out, "tree %s\n", oid_hex(a, &c->tree));
	for (size_t i = 0; i < c->nparents; i++)
		buf_printf(out, "parent %s\n", oid_hex(a, &c->parents[i]));
	buf_printf(out, "author %s %lld +0000\n", c->who, (long long)c->time);
	buf_printf(out, "committer %s %lld +0000\n\n", c->who, (long long)c->time);
	put_message(out, c->subject);
	if (c->op)
		buf_printf(out, "Lamassu-Op: %s\n", c->op);
	buf_printf(out, "Lamassu-Op-Id: %s\n", c->op_id);
	if (c->policy)
		buf_printf(out, "Lamassu-Policy: %s\n", oid_hex(a, c->policy));
	buf_puts(out, c->more ? c->more : "");
}
