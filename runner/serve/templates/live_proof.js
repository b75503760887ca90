"use strict";
// What a counter-experiment is for, and the rates of its blocks so far.
(() => {
  const rates = (blocks, isChanged, format) => {
    const ended = blocks.filter((one) => one.ends && Boolean(one.begins.is_changed) === isChanged && Number.isFinite(one.ends.rps));
    return ended.map((one) => format(one.ends.rps)).join(", ");
  };

  const text = (run, trial, format) => {
    const { change, proves, number, is_changed: isChanged } = trial.begins;
    if (!change) return "";
    const blocks = [...run.trials.values()].filter((one) => one.begins.change === change && one.begins.proves === proves);
    const planned = run.plan.find((one) => one.number === number);
    const subject = run.plan.find((one) => one.number === proves);
    const offered = planned ? `${planned.level} are offered` : "The same load is offered";
    const without = rates(blocks, false, format), changed = rates(blocks, true, format);
    const so = without || changed ? ` Responses per second so far: ${[without && `as specified ${without}`, changed && `with the change ${changed}`].filter(Boolean).join("; ")}.` : "";
    return `Counter-experiment: is the limit${subject ? ` at ${subject.level}` : ""} lifted by ${change}? ${offered} in turn to the system as specified and with that change; this block has ${isChanged ? "the change" : "the system as specified"}.${so}`;
  };

  window.LiveProof = { text };
})();
