// Asking again and again, and never from two timers at once.

/**
 * Call `ask` now, and `everyMs` after each of its ends until it returns false.
 *
 * `now()` does not wait for the next turn, and takes over from a question that is under way.
 */
export function askAgainAndAgain(ask, everyMs) {
  let timer = null;
  let turn = 0;
  const take = async () => {
    clearTimeout(timer);
    turn += 1;
    const mine = turn;
    const goesOn = await ask();
    if (goesOn !== false && mine === turn) timer = setTimeout(take, everyMs);
  };
  const stop = () => {
    turn += 1;
    clearTimeout(timer);
  };
  take();
  return { now: take, stop };
}
