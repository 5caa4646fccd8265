// A video seen through windows that move along it, and what they say in runs: `stzoo predict --timeline`.

const TIE_SECONDS = 1e-6;

/** When each window begins and ends, and its frames, from `low` up to before `high`. The last one ends with the video. */
export function windowsOf(times, seconds, length, hop) {
  const spare = seconds - length;
  const starts = spare <= TIE_SECONDS ? [0] : [];
  for (let place = 0; place * hop <= spare + TIE_SECONDS && spare > TIE_SECONDS; place++) starts.push(place * hop);
  if (spare - starts.at(-1) > TIE_SECONDS) starts.push(spare);
  const first = (moment) => {
    const found = times.findIndex((time) => time >= moment - TIE_SECONDS);
    return found < 0 ? times.length : found;
  };
  return starts.map((start, place) => {
    const end = spare <= TIE_SECONDS ? seconds : start + length;
    const stop = place === starts.length - 1 ? times.length : first(end);
    const begin = first(start);
    const low = begin < stop ? begin : Math.max(begin - 1, 0);
    return { start, end, low, high: Math.max(stop, low + 1) };
  });
}

/** Runs of windows with the same best label; together they cover what the windows do. */
export function runsOf(windows, labels) {
  const best = windows.map(({ scores }) => scores.indexOf(Math.max(...scores)));
  const middle = ({ start, end }) => (start + end) / 2;
  const border = (place) => (middle(windows[place - 1]) + middle(windows[place])) / 2;
  const runs = [];
  best.forEach((label, place) => {
    if (place && label === best[place - 1]) runs.at(-1).scores.push(windows[place].scores[label]);
    else runs.push({ from: place ? border(place) : windows[0].start, label: labels[label], scores: [windows[place].scores[label]] });
  });
  return runs.map(({ from, label, scores }, place) => ({
    from,
    to: runs[place + 1]?.from ?? windows.at(-1).end,
    label,
    score: scores.reduce((sum, score) => sum + score, 0) / scores.length,
  }));
}
