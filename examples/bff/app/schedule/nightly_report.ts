/** Every night at three, one worker sums up all orders and logs the result. */

import { Subscription } from 'egg';

export default class NightlyReport extends Subscription {
  static get schedule() {
    return { cron: '0 0 3 * * *', type: 'worker' };
  }

  async subscribe(): Promise<void> {
    const { ctx } = this;
    const { placed, cancelled, placedCents } = await ctx.service.order.summary();
    ctx.logger.info('[bff] nightly report: %d orders placed, %d cancelled, %d cents', placed, cancelled, placedCents);
  }
}
