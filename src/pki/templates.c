/* The profiles that come with the program. Read-only; names are file names without .yaml and never paths. */
#include "pki/templates.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"

enum { MAX_TEMPLATES = 200 };

static char *folder(struct arena *ar)
{
	const char *env = getenv("LAMASSU_DATADIR");

	return fs_join(ar, env && *env ? env : PKGDATADIR, "profiles");
}

int templates_list(struct arena *ar, struct strv *ret, struct err *e)
{
	struct strv files, out = { .set = true };

	if (fs_list(ar, folder(ar), MAX_TEMPLATES, &files, e) != 0)
		return err_ctx(e, "profile templates");
	for (size_t i = 0; i < files.n; i++) {
		size_t n = strlen(files.v[i]);
		if (n <= 5 || strcmp(files.v[i] + n - 5, ".yaml") != 0)
			continue;
		out.v = arena_grow(ar, out.v, out.n, sizeof(char *));
		out.v[out.n++] = arena_strndup(ar, files.v[i], n - 5);
	}
	*ret = out;
	return 0;
}

int template_text(struct arena *ar, const char *name, struct bytes *ret, struct err *e)
{
	struct strv known;
	const char *near;

	if (templates_list(ar, &known, e) != 0)
		return -1;
	for (size_t i = 0; i < known.n; i++)
		if (strcmp(known.v[i], name) == 0)
			return fs_read(ar, fs_join(ar, folder(ar), arena_printf(ar, "%s.yaml", name)), FS_LIMIT_DOC,
				       ret, e);
	known.v = arena_grow(ar, known.v, known.n, sizeof(char *));
	known.v[known.n] = NULL;
	near = text_nearest(name, (const char *const *)known.v);
	return err_set(e, ERR_NOT_FOUND, "no template \"%s\"%s%s%s", text_escape(ar, bytes_of(name)),
		       near ? " (did you mean \"" : "", near ? near : "",
		       near ? "\"?)" : "; see `lamassu profile templates`");
}

int template_profile(struct arena *ar, const char *name, struct profile *ret, struct err *e)
{
	struct bytes text;

	if (template_text(ar, name, &text, e) != 0)
		return -1;
	return rec_load(ar, &profile_type, arena_printf(ar, "template %s", name), text, ret, e);
}
