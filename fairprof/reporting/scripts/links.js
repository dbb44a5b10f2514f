"use strict";
// Runs, models and files that a report names lead to their pages in MLflow. Inside MLflow's own frame no link may be followed: there the
// address is copied.

const links = (() => {
  const block = document.getElementById("data-mlflow");
  const known = block && JSON.parse(block.textContent); // where MLflow's server is, and the runs' experiment
  const framed = location.protocol === "blob:"; // as MLflow shows a file
  const around = framed ? new URL(location.href.slice("blob:".length)).origin : null;
  const server = known && framed && !known.server.startsWith(around) ? around : known?.server;

  // The name of a run, as a link where that leads somewhere.
  function toRun({ run_id: id, name }) {
    return toPage(`runs/${id}`, name);
  }

  // What is at a page of MLflow's: `runs/...`, which are those of the experiment, or `models/...`.
  function toPage(page, name) {
    if (!known) return name;
    const within = page.startsWith("runs/") ? `experiments/${known.experiment}/` : "";
    const address = `${server}/#/${within}${page}`;
    return framed ? copying(name, address) : link(name, address);
  }

  function link(name, address) {
    const options = { href: address, target: "_blank", rel: "noreferrer", textContent: name };
    const hint = known.certain ? "its page in MLflow" : "its page in MLflow, where `mlflow ui` runs";
    return Object.assign(document.createElement("a"), options, { title: hint });
  }

  function copying(name, address) {
    const options = { type: "button", className: "address", textContent: name, title: "copy the address of its page" };
    const button = Object.assign(document.createElement("button"), options);
    button.addEventListener("click", () => {
      const field = Object.assign(document.createElement("input"), { className: "address", value: address, readOnly: true });
      field.setAttribute("aria-label", `Address of ${name} in MLflow: links cannot be followed in this frame`);
      button.after(field);
      field.select();
      document.execCommand("copy");
      field.addEventListener("blur", () => field.remove());
    });
    return button;
  }

  for (const place of document.querySelectorAll("[data-page]")) {
    place.replaceChildren(toPage(place.dataset.page, place.textContent));
  }

  return { toRun };
})();
