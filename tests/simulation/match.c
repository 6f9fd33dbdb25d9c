#include "simulation.h"
void sim_game_create(struct sim_node *node)
{
	(void)node;
}
void sim_game_attach(struct sim_node *node)
{
	(void)node;
}
void sim_game_destroy(struct sim_node *node)
{
	(void)node;
}
void sim_table_start(struct simulation *sim, uint32_t number)
{
	(void)sim;
	(void)number;
}
