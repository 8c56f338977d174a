# Basinscope in a container; also runs as a Hugging Face Docker Space (port 7860, user 1000).
FROM python:3.11-slim

# Chromium renders PNG figures; fonts-dejavu-core gives it letters.
RUN apt-get update \
    && apt-get install -y --no-install-recommends chromium fonts-dejavu-core \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 basinscope

WORKDIR /home/basinscope/app
COPY --chown=basinscope:basinscope requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt

COPY --chown=basinscope:basinscope . .
USER basinscope

ENV PORT=7860 \
    BASINSCOPE_HOME=/home/basinscope/data \
    PYTHONUNBUFFERED=1
RUN mkdir -p /home/basinscope/data
EXPOSE 7860

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD python -c "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/_stcore/health', timeout=4)"

CMD ["sh", "-c", "exec streamlit run app.py --server.port \"$PORT\" --server.address 0.0.0.0 --server.headless true"]
