/* A token without a repository: on devices, where the command line alone says what there is. Guarantees: the PIN is in
 * none of it; the module is the one that the operator named, or those that this machine's p11-kit offers. */
#include <string.h>

#include "base/text.h"
#include "engine/engine.h"
#include "rec/node.h"
#ifdef WITH_P11
#include "engine/pkcs11.h"

/* "/PATH", "file:/PATH", "file:///PATH": as a reference of ours. */
static int pin_of(struct arena *a, const char *source, char **ret, struct err *e)
{
	const char *path = text_has_prefix(source, "file:") ? source + 5 : source;

	if (text_has_prefix(path, "///"))
		path += 2;
	if (path[0] != '/')
		return err_set(e, ERR_USAGE, "pin-source: only files are read: file:/PATH");
	*ret = arena_printf(a, "file:%s", path);
	return 0;
}

static int set(struct arena *a, char **config, const char *name, const char *value, struct err *e)
{
	SCOPED_BUF text = buf_init(BUF_TEXT);

	if (!value)
		return 0;
	json_print_text(value, &text);
	return any_set(a, *config, name, buf_str(&text), config, e);
}

int engine_of_uri(struct arena *a, const char *uri, struct engine_uri *ret, struct err *e)
{
	struct p11_wanted w;
	char *pin = NULL, *config = NULL;

	if (p11_uri(a, uri, &w, e) != 0 || (w.pin_source && pin_of(a, w.pin_source, &pin, e) != 0))
		return -1;
	if (!w.is_private)
		return err_set(e, ERR_USAGE, "%s: it must name a private key", uri);
	if (set(a, &config, "module_path", w.module_path ? w.module_path : P11_PROXY, e) != 0 ||
	    set(a, &config, "token", w.token, e) != 0 ||
	    set(a, &config, "serial", w.serial, e) != 0 || set(a, &config, "pin", pin, e) != 0)
		return -1;
	*ret = (struct engine_uri){ .object = w.object, .has_id = w.id.p != NULL };
	rec_default(a, &engine_type, &ret->doc);
	ret->doc.id = arena_strdup(a, w.token ? w.token : "token");
	ret->doc.type = arena_strdup(a, "PKCS11");
	ret->doc.config = config;
	return 0;
}
#else
int engine_of_uri(struct arena *a, const char *uri, struct engine_uri *ret, struct err *e)
{
	(void)a, (void)ret;
	return err_set(e, ERR_UNSUPPORTED, "%s: this program was built without PKCS#11", uri);
}
#endif
