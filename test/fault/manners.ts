/** How an agent behaves: probabilities, and times in ms. */
export type Manners = {
  /** output that the agent throws away: timeout, Esc */
  drop: number;
  /** Esc before the first word: the prompt is taken back, and the mail with it */
  takeBack: number;
  /** calls intercom_check_inbox */
  check: number;
  reply: number;
  lateMs: number;
  /** hooks that are the real program, and those of them that are killed */
  realHook: number;
  killHook: number;
  /** … or stand still for so many ms, at most */
  stopHook: number;
  stopMs: number;
};
export const calm: Manners = {
  drop: 0,
  takeBack: 0,
  check: 0,
  reply: 0,
  lateMs: 5,
  realHook: 0,
  killHook: 0,
  stopHook: 0,
  stopMs: 0,
};
export const lively: Manners = {
  drop: 0.12,
  takeBack: 0.06,
  check: 0.2,
  reply: 0.2,
  lateMs: 300,
  realHook: 0,
  killHook: 0,
  stopHook: 0,
  stopMs: 0,
};
