import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** Sends one request with the standard library, whose proxy and trust store are system properties. */
public class Intercept {
    public static void main(String[] arguments) throws Exception {
        String base = "https://dashscope-intl.aliyuncs.com/api/v2/apps/protocols/compatible-mode/v1";
        HttpRequest request = HttpRequest.newBuilder(URI.create(base + "/responses"))
            .header("Authorization", "Bearer " + System.getenv("DASHSCOPE_API_KEY"))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString("{\"model\": \"qwen3-max-2026-01-23\", \"input\": \"Hello!\"}"))
            .build();
        HttpResponse<String> reply = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(reply.statusCode() + " " + reply.body());
    }
}
