import type { Outlet } from '../../sessions/outlet.js';
import type { Call } from './call.js';

/** The outlet of a call's request, by which the call learns of its answer. */
export function watchedOutlet(outlet: Outlet, call: Call): Outlet {
  return {
    get open() {
      return outlet.open;
    },
    deliver(text, last) {
      if (last) call.answered(text);
      return outlet.deliver(text, last);
    },
  };
}
