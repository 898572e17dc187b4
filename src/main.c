#include "cmd/root.h"
#include "engine/engine.h"

int main(int argc, char **argv)
{
	int status = engine_child(argc, argv);

	if (status >= 0)
		return status;
	return cli_main(&lamassu_cli, argc, argv);
}
