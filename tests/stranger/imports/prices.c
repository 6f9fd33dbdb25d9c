#include <stdio.h>

#include "shop/v1/events.fts.h"
#include "shop/v1/shop.fts.h"

int main(void)
{
	printf("%s %zu %s\n", shop_v1_shop_price_method->full_name, shop_v1_shop_service.type_count,
	       shop_v1_sold_event_topic.name);
	return 0;
}
