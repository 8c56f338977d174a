// Draws one Plotly figure and keeps what the user did to it: zoom, pan and the camera survive
// every new version of the figure, and its moving to another place of the page.
//
// Plotly is the one that the Python package brings; it is fetched from this very server, once.

const state = (window.basinscopePlots ??= { plotly: null, views: new Map() });
const EXPAND = {
  name: "Full screen",
  icon: {
    width: 24,
    height: 24,
    path: "M4 4h6v2H6v4H4zm10 0h6v6h-2V6h-4zM4 14h2v4h4v2H4zm14 0h2v6h-6v-2h4z",
  },
  click: (box) =>
    document.fullscreenElement ? document.exitFullscreen() : box.requestFullscreen(),
};

// The address names the version, so what the browser has kept is right however old it is.
const fetched = (source) =>
  (state.plotly ??= fetch(new URL(source, document.baseURI), { cache: "force-cache" })
    .then((answer) => {
      if (!answer.ok) throw new Error(`${source}: ${answer.status}`);
      return answer.blob();
    })
    .then(painted)
    .then(run));

// Compiling takes a second in which nothing else is painted: what is there comes first.
const painted = (blob) =>
  new Promise((resolve) =>
    requestAnimationFrame(() => setTimeout(() => resolve(blob), document.hidden ? 0 : 30)),
  );

const run = (blob) =>
  new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = URL.createObjectURL(blob);
    script.onload = () => resolve(window.Plotly);
    script.onerror = reject;
    document.head.append(script);
  });

// What the user may have moved: the two axes of a flat plot, or the camera of a surface.
const looked = (layout) =>
  layout.scene
    ? { "scene.camera": layout.scene.camera }
    : { "xaxis.range": layout.xaxis?.range?.slice(), "yaxis.range": layout.yaxis?.range?.slice() };

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

function remember(box, changed) {
  const { view } = box.wanted;
  if (!view || !Object.keys(changed).some((key) => /^(xaxis|yaxis|scene)\b/.test(key))) return;
  const now = looked(box.layout);
  if (same(now, box.initial)) state.views.delete(view);
  else state.views.set(view, now);
}

async function draw(Plotly, box) {
  if (!box.finish || box.held || box.drawing || box.drawn === box.wanted.figure) return;
  box.drawing = true;
  const { figure, view, config } = box.wanted;
  const { data, layout } = JSON.parse(figure);
  if (view) layout.uirevision = view;
  box.initial = looked(layout);
  const first = box.drawn === undefined;
  await Plotly.react(box, data, layout, { ...config, modeBarButtonsToAdd: [EXPAND] });
  box.drawn = figure;
  const seen = view && state.views.get(view);
  if (seen && !same(seen, looked(box.layout))) await Plotly.relayout(box, seen);
  if (first) box.on("plotly_relayout", (changed) => remember(box, changed));
  box.drawing = false;
  draw(Plotly, box); // what came meanwhile
}

function prepare(box, redraw) {
  // A figure that changes under the user's hand would throw the plot back to where it was.
  const down = () => (box.held = true);
  const up = () => {
    if (!box.held) return;
    box.held = false;
    setTimeout(redraw, 350); // a second click may follow
  };
  box.addEventListener("pointerdown", down, true);
  window.addEventListener("pointerup", up, true);
  window.addEventListener("pointercancel", up, true);
  const resized = new ResizeObserver(() => {
    if (box.drawn !== undefined && box.clientWidth) window.Plotly.Plots.resize(box);
  });
  resized.observe(box);
  return () => {
    resized.disconnect();
    window.removeEventListener("pointerup", up, true);
    window.removeEventListener("pointercancel", up, true);
    if (box.drawn !== undefined) window.Plotly.purge(box);
    box.finish = null;
  };
}

export default function ({ data, parentElement }) {
  const box = parentElement.querySelector(".bs-plot");
  const redraw = () =>
    fetched(data.source).then(
      (Plotly) => draw(Plotly, box),
      () => {
        state.plotly = null; // the next figure tries again
        box.textContent = "The program that draws charts did not arrive. Reload the page.";
      },
    );
  box.wanted = data;
  box.style.height = data.height ? `${data.height}px` : "";
  box.setAttribute("aria-label", data.alt);
  box.finish ??= prepare(box, redraw);
  redraw();
  // Called before each new version too: only a box that has left the page is given up.
  return () => setTimeout(() => box.isConnected || box.finish?.(), 0);
}
